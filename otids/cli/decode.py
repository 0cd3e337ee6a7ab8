"""`otids decode`: every message of captures, one JSON object a line (docs/decode-record.md)."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from otids import _hotpath

BAD_INPUT = 2
PIPE_CLOSED = 141

LOSSES = {
    "malformed_frames": "with headers that cannot be right",
    "unknown_link_frames": "of a link type that otids does not know",
    "snapped_frames": "cut by the snap length",
    "flows_evicted": "flows given up to make room",
}
"""Counters of the hot path that mean that messages may be missing, and what to say of them."""


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("decode", no_args_is_help=True)(decode)


def decode(
    captures: Annotated[
        list[Path],
        typer.Argument(
            metavar="CAPTURE...", help="pcap or pcapng, plain or gzip.", show_default=False
        ),
    ],
    protocol: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help=f"Only messages of this protocol ({', '.join(_hotpath.PROTOCOLS)}). "
            "May be repeated.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.jsonl",
            help="Write to this file, not to the standard output.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Print every message of captures, one JSON object a line, in the order of the captures.

    The record and its units are described in docs/decode-record.md. Where a capture is damaged,
    what stands before the damage is printed, and the exit code is 2.
    """
    unknown = set(protocol or ()) - set(_hotpath.PROTOCOLS)
    if unknown:
        known = ", ".join(_hotpath.PROTOCOLS)
        raise typer.BadParameter(
            f"there is no decoder for {', '.join(sorted(unknown))}; there are: {known}",
            param_hint="--protocol",
        )
    if output is not None and _is_one_of(output, captures):
        raise typer.BadParameter(f"{output} is to be decoded", param_hint="--output")
    try:
        with _opened(output) as out:
            are_whole = [_decode(capture, protocol, out) for capture in captures]
            out.flush()
    except BrokenPipeError:  # who reads our output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(PIPE_CLOSED) from None
    except OSError as error:
        _complain(f"{output or 'standard output'}: {error.strerror}")
        raise typer.Exit(BAD_INPUT) from None
    if not all(are_whole):
        raise typer.Exit(BAD_INPUT)


def _decode(capture: Path, protocols: Sequence[str] | None, out: BinaryIO) -> bool:
    """Write the records of one capture; returns whether it could be read to its end."""
    hotpath = _hotpath.Hotpath(records=True, protocols=protocols)
    try:
        hotpath.open(capture)
    except _hotpath.CaptureError as error:
        _complain(str(error))
        return False
    health: dict[str, Any] = {}
    try:
        while (batch := hotpath.next_batch()) is not None:
            out.write(batch.records)
            health = batch.health
    finally:
        hotpath.close()
    losses = [f"{health[name]} {words}" for name, words in LOSSES.items() if health[name]]
    if losses:
        _complain(f"{capture}: messages may be missing: {', '.join(losses)}")
    for offset, what in health["damages"]:
        _complain(f"{capture}: {what} (at byte {offset})")
    return not health["damages"]


@contextmanager
def _opened(output: Path | None) -> Iterator[BinaryIO]:
    if output is None:
        yield sys.stdout.buffer
    else:
        with output.open("wb") as file:
            yield file


def _is_one_of(output: Path, captures: Sequence[Path]) -> bool:
    return output.exists() and any(
        capture.exists() and capture.samefile(output) for capture in captures
    )


def _complain(text: str) -> None:
    typer.echo(f"otids: {text}", err=True)

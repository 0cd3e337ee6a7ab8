"""Damages texts and bytes, by chance and by what breaks readers."""

import random

PIECES = (
    "\0", "\ufeff", "\u202e", "\x1b[2J", '"', "'", "[", "]", "[[", "{", "}", "=", "\n", "\r", "#",
    "1e999", "-1", "0x7fffffffffffffff", "99999999999999999999", "nan", "inf", "true", "\\u0000",
    "9999-12-31T23:59:59+23:59", "../../../etc/passwd", "x" * 5000, "[" * 500, "a." * 500 + "b=1\n",
)  # fmt: skip


def damaged(text: str, chance: random.Random) -> str:
    """Change a text in some places: characters, pieces, lines that are doubled or gone."""
    for _ in range(chance.choice((1, 1, 2, 4, 8))):
        place = chance.randrange(len(text) + 1)
        end = min(place + chance.randrange(1, 20), len(text))
        what = chance.randrange(6)
        if what == 0:
            text = text[:place] + text[end:]
        elif what == 1:
            text = text[:place] + chance.choice(PIECES) + text[place:]
        elif what == 2:
            text = text[:place] + chance.choice(PIECES) + text[end:]
        elif what == 3:
            text = text[:place] + chr(chance.randrange(1, 0x3000)) + text[place + 1 :]
        elif what == 4:
            lines = text.splitlines(keepends=True) or [""]
            lines.insert(chance.randrange(len(lines)), chance.choice(lines))
            text = "".join(lines)
        else:
            text = text[:place]
    return text

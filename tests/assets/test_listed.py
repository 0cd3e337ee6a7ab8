"""The user's list of assets: read leniently where it is harmless, refused where it is wrong."""

from pathlib import Path

import pytest

from otids.assets.listed import NOT_LISTED, AssetList, Listed
from otids.rules.files import RuleError
from otids.traffic import EndpointName


def read(tmp_path: Path, text: str, encoding: str = "utf-8") -> AssetList:
    path = tmp_path / "assets.csv"
    path.write_text(text, encoding=encoding)
    return AssetList.read(path)


def test_names_are_found_by_address(tmp_path: Path) -> None:
    listed = read(
        tmp_path,
        "address,name,role,zone,rack\n"
        '10.0.0.5,"PLC-5, hall 2",controller,cell 2,R7\n'
        "\n"
        "00-80-F4-00-00-05,Gateway,,,\n"
        "2001:DB8:0::1,Historian,server,,\n",
    )
    plc = listed.find(EndpointName(0, "10.0.0.5"))
    assert plc == Listed("PLC-5, hall 2", "controller", "cell 2", (("rack", "R7"),))
    assert listed.find(EndpointName(9, "10.0.0.5")) == plc
    assert listed.find(EndpointName(0, "00:80:f4:00:00:05")).name == "Gateway"
    assert listed.find(EndpointName(0, "2001:db8::1")).name == "Historian"
    assert listed.find(EndpointName(0, "10.0.0.6")) == NOT_LISTED
    assert AssetList().find(EndpointName(0, "10.0.0.5")) == NOT_LISTED


def test_a_vlan_tells_equal_addresses_apart(tmp_path: Path) -> None:
    listed = read(
        tmp_path, "vlan,address,name\n7,10.0.0.5,A\n3.7,10.0.0.5,B\n,10.0.0.5,C\n4094,10.0.0.6,D\n"
    )
    assert listed.find(EndpointName(7, "10.0.0.5")).name == "A"
    assert listed.find(EndpointName(3 << 12 | 7, "10.0.0.5")).name == "B"
    assert listed.find(EndpointName(0, "10.0.0.5")).name == "C"
    assert listed.find(EndpointName(0, "10.0.0.6")) == NOT_LISTED


def test_spreadsheets_write_it_too(tmp_path: Path) -> None:
    listed = read(tmp_path, "Address;Name\r\n10.0.0.5;Füllanlage\r\n", "utf-8-sig")
    assert listed.find(EndpointName(0, "10.0.0.5")).name == "Füllanlage"


def test_text_is_made_harmless(tmp_path: Path) -> None:
    listed = read(tmp_path, "address,name\n10.0.0.5,\x1b[31mPLC\u202e\n")
    assert listed.find(EndpointName(0, "10.0.0.5")).name == "\ufffdPLC\ufffd"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ":1: the header has no column 'address'"),
        ("address,role\n", ":1: the header has no column 'name'"),
        ("address,name,name\n", ":1: column 'name' stands twice"),
        ("address,name,\n", ":1: column 3 has no name"),
        ("address,name\n10.0.0.5\n", ":2: has 1 columns, the header 2"),
        ("address,name\n10.0.0.5,a\n10.0.0.256,b\n", ":3: column address: '10.0.0.256' is no IP"),
        ("address,name\n\nfe80::1%eth0,a\n", ":3: column address: 'fe80::1%eth0' is no IP"),
        ("address,name\n10.0.0.5,\n", ":2: column name: is empty"),
        ("address,name,vlan\n10.0.0.5,a,4095\n", ":2: column vlan: '4095' is no VLAN"),
        ("address,name,vlan\n10.0.0.5,a,0\n", ":2: column vlan: '0' is no VLAN"),
        ("address,name,vlan\n10.0.0.5,a,x\n", ":2: column vlan: 'x' is no VLAN"),
        (
            "address,name\n10.0.0.5,a\n10.0.0.5,b\n",
            ":3: column address: 10.0.0.5 is also in line 2",
        ),
        ('address,name\n10.0.0.5,"a\n', ":2: unexpected end of data"),
        ("address,name" + "".join(f",c{n}" for n in range(60)), ":1: has more than 50 columns"),
    ],
)
def test_a_wrong_list_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(RuleError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'assets.csv'}{message}")


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match=r"assets\.csv: No such file"):
        AssetList.read(tmp_path / "assets.csv")
    with pytest.raises(RuleError, match=r"assets\.csv: is not UTF-8 \(byte 13\)"):
        read(tmp_path, "address,name\nä", "latin-1")


def test_rows_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otids.assets.listed.MOST_ROWS", 2)
    with pytest.raises(RuleError, match=":4: has more than 2 rows"):
        read(tmp_path, "address,name\n10.0.0.1,a\n10.0.0.2,b\n10.0.0.3,c\n")

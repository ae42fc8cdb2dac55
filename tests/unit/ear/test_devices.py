from pathlib import Path

import pytest

from edge.ear.capture.devices import Device, NoSuchDeviceError, devices_from, select_device


def info(index: int, name: str, channels: int = 1, rate: float = 48_000.0) -> dict[str, object]:
    return {"index": index, "name": name, "maxInputChannels": channels, "defaultSampleRate": rate}


def plug_usb(sysfs: Path, card: int, port: str, vendor: str, product: str, serial: str = "") -> None:
    """The files and links that the kernel makes for a USB microphone."""
    device = sysfs / "devices/pci0000:00/usb1" / port
    sound = device / f"{port}:1.0" / "sound" / f"card{card}"
    sound.mkdir(parents=True)
    (device / "idVendor").write_text(f"{vendor}\n")
    (device / "idProduct").write_text(f"{product}\n")
    if serial:
        (device / "serial").write_text(f"{serial}\n")
    (sound / "id").write_text("Device\n")
    (sound / "device").symlink_to("../..")
    (sysfs / "class/sound").mkdir(parents=True, exist_ok=True)
    (sysfs / "class/sound" / f"card{card}").symlink_to(sound)


def solder(sysfs: Path, card: int, name: str) -> None:
    (sysfs / "class/sound" / f"card{card}").mkdir(parents=True)
    (sysfs / "class/sound" / f"card{card}" / "id").write_text(f"{name}\n")


def test_a_usb_microphone_keeps_its_identity_when_cards_are_numbered_anew(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    plug_usb(before, 1, "1-1.2", "0d8c", "0014", "A7")
    plug_usb(after, 3, "1-1.4", "0d8c", "0014", "A7")
    (first,) = devices_from([info(0, "USB PnP Audio: USB Audio (hw:1,0)")], 0, before)
    (second,) = devices_from([info(4, "USB PnP Audio: USB Audio (hw:3,0)")], 4, after)
    assert first.identity == second.identity == "usb:0d8c:0014:A7"


def test_without_a_serial_number_the_port_is_the_identity(tmp_path: Path) -> None:
    plug_usb(tmp_path, 1, "1-1.2", "0d8c", "0014")
    (device,) = devices_from([info(0, "USB PnP Audio: USB Audio (hw:1,0)")], 0, tmp_path)
    assert device.identity == "usb-path:1-1.2"


def test_two_microphones_that_share_a_serial_number_are_told_apart_by_their_ports(tmp_path: Path) -> None:
    plug_usb(tmp_path, 1, "1-1.2", "0d8c", "0014", "0")
    plug_usb(tmp_path, 2, "1-1.3", "0d8c", "0014", "0")
    devices = devices_from([info(0, "USB: Audio (hw:1,0)"), info(1, "USB: Audio (hw:2,0)")], 0, tmp_path)
    assert [device.identity for device in devices] == ["usb-path:1-1.2", "usb-path:1-1.3"]


def test_what_is_built_in_goes_by_its_card_name_and_a_sound_server_by_its_own(tmp_path: Path) -> None:
    solder(tmp_path, 0, "sndrpigooglevoi")
    devices = devices_from([info(0, "snd_rpi_googlevoicehat: - (hw:0,0)"), info(1, "pulse", 32)], 1, tmp_path)
    assert [device.identity for device in devices] == ["alsa:sndrpigooglevoi", "name:pulse"]
    assert [device.default for device in devices] == [False, True]


def test_loudspeakers_are_no_microphones(tmp_path: Path) -> None:
    assert devices_from([info(0, "HDMI (hw:0,3)", channels=0)], 0, tmp_path) == []


def test_a_serial_number_of_strange_bytes_fits_on_one_line(tmp_path: Path) -> None:
    plug_usb(tmp_path, 1, "1-1", "0d8c", "0014", "a b\x01\nc" + "x" * 200)
    (device,) = devices_from([info(0, "USB (hw:1,0)")], 0, tmp_path)
    assert device.identity.startswith("usb:0d8c:0014:a_b_c")
    assert device.identity.isprintable()
    assert len(device.identity) < 100


DEVICES = [
    Device(
        identity="usb:1:2:A", name="Blue Yeti: USB (hw:1,0)", index=0, channels=2, rate=48_000, default=False
    ),
    Device(
        identity="usb:1:2:B", name="ReSpeaker: USB (hw:2,0)", index=1, channels=4, rate=16_000, default=False
    ),
    Device(identity="name:pulse", name="pulse", index=7, channels=32, rate=44_100, default=True),
]


@pytest.mark.parametrize(
    ("wanted", "identity"),
    [
        ("", "name:pulse"),
        ("usb:1:2:B", "usb:1:2:B"),
        ("7", "name:pulse"),
        ("yeti", "usb:1:2:A"),
        ("2:b", "usb:1:2:B"),
    ],
)
def test_a_microphone_is_chosen_by_identity_number_or_part_of_its_name(wanted: str, identity: str) -> None:
    assert select_device(DEVICES, wanted).identity == identity


@pytest.mark.parametrize(
    ("wanted", "words"),
    [("usb", "2 microphones match 'usb': usb:1:2:A, usb:1:2:B"), ("rode", "connected: usb:1")],
)
def test_an_unclear_wish_is_refused_with_what_there_is(wanted: str, words: str) -> None:
    with pytest.raises(NoSuchDeviceError, match=words):
        select_device(DEVICES, wanted)


def test_no_microphone_at_all_is_said() -> None:
    with pytest.raises(NoSuchDeviceError, match="plug one in"):
        select_device([], "")

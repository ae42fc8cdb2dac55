from dashboard.values import natural_key


def test_numbers_in_names_are_ordered_as_numbers():
    names = ["Room 10", "room 2", "Attic", "Room 1b", "Room", "2nd floor", "Room 1a", "١٢", "Ätrium 3", ""]
    ordered = sorted(names, key=natural_key)
    assert [name for name in ordered if name.casefold().startswith("room")] == [
        "Room", "Room 1a", "Room 1b", "room 2", "Room 10",
    ]  # fmt: skip
    assert set(ordered) == set(names)

"""Tests of numbers as people write them, against values by hand."""

import pytest

from nnclassify.data.tables.number_formats import NumberFormat, number_format

NBSP, MINUS = "\u00a0", "\u2212"


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["$12", "-$3", "$1,234.50"], [12, -3, 1234.5]),
        (["45%", "0.5 %", "0"], [45, 0.5, 0]),
        (["1.2e3 kg", "7kg", f"{MINUS}2 kg"], [1200, 7, -2]),
        (["1.234,50 €", "12,00 €"], [1234.5, 12]),
        ([f"12{NBSP}345", "850"], [12345, 850]),
        (["12'345", "1"], [12345, 1]),
        (["12,345,678", "1,234"], [12345678, 1234]),
        (["12,34,567", "850"], [1234567, 850]),
        (["1,250", "850"], [1250, 850]),
        (["1,5", "850"], [1.5, 850]),
        (["USD 5", "USD 1,200,000"], [5, 1200000]),
        (["100 km/h", "80 km/h"], [100, 80]),
        (["21 °C", "-3.5 °C"], [21, -3.5]),
        (["7:30", "19:45:36"], [7.5, 19.76]),
        (["12:30 AM", "7:30 p.m."], [0.5, 19.5]),
        (["($1,234.50)", "$12"], [-1234.5, 12]),
        (["(1,234 €)", "5 €", "(12 €)"], [-1234, 5, -12]),
        (["1,234.50-", "12.25"], [-1234.5, 12.25]),
        (["1.2K", "3M", "850", "2B"], [1200, 3e6, 850, 2e9]),
        (["€110.5M", "€565K", "€0"], [110.5e6, 565e3, 0]),
        (["1 year", "29 years"], [1, 29]),
        (["12 lb", "240 lbs"], [12, 240]),
        (["Rs. 250", "Rs. 1,200.50"], [250, 1200.5]),
        (["–5", "3"], [-5, 3]),  # noqa: RUF001 - an en dash
        (['5"', '12.5"'], [5, 12.5]),
        (["0 days 02:30:00", "1 day, 2:15:00", "3 days 00:00:36"], [2.5, 26.25, 72.01]),
        (["%45", "%5"], [45, 5]),
        (["12\u2009345", "850"], [12345, 850]),
        (["<0.5", ">= 100", "7.25", "≤ 3"], [0.5, 100, 7.25, 3]),
    ],
)
def test_numbers_are_read_as_they_were_meant(texts: list[str], values: list[float]) -> None:
    form = number_format(texts, ".")
    assert form is not None and [form.value(text) for text in texts] == pytest.approx(values)


@pytest.mark.parametrize(
    "texts",
    [
        ["$12", "€3"],  # two currencies
        ["12 kg", "3"],  # a number of another unit?
        ["1,250", "3,125"],  # thousands or decimals?
        ["7:30", "7:30 PM"],
        ["13:00 PM"],
        ["7:75"],
        ["1-2", "3-4"],
        ["3–5", "6–9"],  # noqa: RUF001 - en dashes
        ["12 K", "3"],  # kelvin?
        ["5 kg", "3 kgs", "7 g"],
        ["a12", "a13"],
        ["1.jpg", "2.jpg"],
        ["1.2.3", "1.2.4"],
        ["--3 kg"],
        ["-(3)"],
        ["2-", "2", "1-"],  # grades
        ["9" * 400 + " kg"],
        ["2024-01-02"],
        [],
    ],
)
def test_what_is_not_certain_is_not_read(texts: list[str]) -> None:
    assert number_format(texts, ".") is None


def test_a_known_decimal_mark_decides() -> None:
    for decimal, value in ((".", 1250), (",", 1.25)):
        form = number_format(["1,250", "3,125"], decimal, is_certain=True)
        assert form is not None and form.value("1,250") == value


def test_the_unit_may_be_left_out_later_but_not_replaced() -> None:
    form = NumberFormat("kg")
    assert (form.value("3 kg"), form.value("3"), form.value("3 lb")) == (3, 3, None)

"""Leads that stand twice are told from leads that are alike by chance."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from mqlml.learning.audit import AuditInput, Finding, audit_columns

DAY = 86_400_000_000
START = 1_640_995_200_000_000


def history(n: int, *, seed: int = 0, copied: int = 0, same_account: bool = False, alike: bool = True) -> AuditInput:
    """Honest leads, the last ``copied`` of them entered again from older ones, with another phone number."""
    rng = np.random.default_rng(seed)
    source = np.r_[np.arange(n - copied), rng.choice((n - copied) // 2, copied, replace=False)]
    won = (rng.random(n) < 0.3).astype(float)
    if alike:
        won = won[source]
    columns = {
        "country": rng.choice(["DE", "AT", "CH", "FR"], n)[source],
        "industry": rng.integers(0, 12, n).astype(str)[source],
        "employees": np.exp(rng.normal(4, 1, n))[source] * (1 + 1e-5 * rng.normal(size=n)),
        "score": rng.normal(size=n)[source],
        "phone": rng.integers(0, 10**9, n).astype(str),
        "record id": np.arange(n),
    }
    rows = np.arange(n)
    created = START + rows * DAY // 4
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    return AuditInput(table, won, created, source if same_account else rows, rows)


def found(data: AuditInput) -> list[Finding]:
    return [f for f in audit_columns(data, waive={}) if f.check == "near-duplicates"]


def test_copies_when_leads_were_entered_twice_then_they_are_counted_and_asked_about() -> None:
    (finding,) = found(history(2_000, copied=200))
    assert (finding.level, finding.column) == ("ask", "lead_id")
    assert finding.figure.startswith("200 of 1,000 of the newer half of the leads (20.0 %) repeat an older one")
    assert "100.0 % of them ended as it did" in finding.figure
    assert "account_id" in finding.remedy


def test_copies_when_they_ended_by_chance_then_they_are_only_noted() -> None:
    assert [f.level for f in found(history(2_000, copied=200, alike=False))] == ["note"]


def test_copies_when_they_share_an_account_then_no_test_meets_them() -> None:
    assert found(history(2_000, copied=200, same_account=True)) == []


@pytest.mark.parametrize("seed", range(3))
def test_copies_when_few_values_make_leads_alike_then_it_is_chance(seed: int) -> None:
    """Region follows from country, so that three columns say no more than two."""
    rng = np.random.default_rng(seed)
    n = 3_000
    country = rng.integers(0, 30, n)
    columns = {
        "country": country.astype(str),
        "region": (country // 6).astype(str),
        "continent": (country // 15).astype(str),
        "employees": rng.choice([10.0, 50.0, 200.0, 1_000.0], n),
        "source": rng.choice(list("abcdefg"), n),
    }
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    rows = np.arange(n)
    won = (rng.random(n) < 0.4).astype(float)
    assert found(AuditInput(table, won, START + rows * DAY, rows, rows)) == []


def test_copies_when_there_are_no_dates_then_halves_are_compared() -> None:
    data = history(2_000, copied=200)
    undated = AuditInput(data.attributes, data.won, None, data.group, data.lead_order)
    (finding,) = found(undated)
    assert "repeat one of the other half" in finding.figure

"""Titles, addresses and companies in groups that are words of the package, never of the data."""

from __future__ import annotations

import pytest

from mqlml.learning.parsing import UNRECOGNISED, VIEWS, views_of


@pytest.mark.parametrize(
    ("title", "seniority", "function"),
    [
        ("CEO", "executive", "general management"),
        ("Chief Marketing Officer", "executive", "marketing"),
        ("Leiterin Einkauf", "manager", "purchasing"),
        ("Directeur Général", "executive", "general management"),
        ("VP of Sales, EMEA", "vice president", "sales"),
        ("Software Engineer II", "specialist", "it and engineering"),
        ("Praktikantin Personal", "student or trainee", "people"),
        ("Senior Product Owner", "manager", "product and research"),
        ("Inhaber", "owner", "general management"),
        ("Zauberer", UNRECOGNISED, UNRECOGNISED),
        ("", UNRECOGNISED, UNRECOGNISED),
    ],
)
def test_views_when_a_title_is_read_then_it_is_put_into_groups(title: str, seniority: str, function: str) -> None:
    assert VIEWS["seniority"](title) == seniority
    assert VIEWS["function"](title) == function


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("jane.doe@gmail.com", "free-mail address"),
        ("jane@yahoo.co.uk", "free-mail address"),
        ("info@acme.com", "role address"),
        ("sales+eu@acme.de", "role address"),
        ("jane.doe@acme.com", "company address"),
        ("not an address", "no valid address"),
        ("@", "no valid address"),
    ],
)
def test_views_when_an_address_is_read_then_only_its_kind_is_left(address: str, kind: str) -> None:
    assert VIEWS["kind of address"](address) == kind


@pytest.mark.parametrize(
    ("company", "form"),
    [
        ("Müller Maschinenbau GmbH", "limited company"),
        ("Acme, Inc.", "stock corporation"),
        ("Universität Köln", "public sector or school"),
        ("Stiftung Warentest", "association or foundation"),
        ("Acme", UNRECOGNISED),
    ],
)
def test_views_when_a_company_is_read_then_its_legal_form_is_found(company: str, form: str) -> None:
    assert VIEWS["legal form"](company) == form


def test_views_of_when_values_differ_from_lead_to_lead_then_name_or_content_decides() -> None:
    titles = [f"{rank} of area {i}" for i in range(20) for rank in ("Head", "Manager")]
    assert views_of("Job-Title", [f"x{i}" for i in range(40)]) == ("seniority", "function")
    assert views_of("field 7", titles) == ("seniority", "function")
    assert views_of("field 8", [f"a{i}@b.com" for i in range(3)]) == ("kind of address",)
    assert views_of("Firma", [f"x{i}" for i in range(40)]) == ("legal form",)
    assert views_of("field 9", [f"x{i}" for i in range(40)]) == ()


def test_views_of_when_a_title_is_a_pick_list_then_it_is_taken_as_it_is() -> None:
    assert views_of("job_title", ["Director", "Manager", "Other"]) == ()

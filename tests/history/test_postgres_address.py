"""An address is taken apart without its password ever being shown."""

from __future__ import annotations

import pytest

from mqlml.config import Config
from mqlml.errors import UsageError, masked
from mqlml.history.files import existing
from mqlml.history.findings import Findings
from mqlml.history.postgres import Address, is_postgres

SECRET = "s3:cr@t/x"
URL = "postgresql://reader:s3%3Acr%40t%2Fx@db.example:5433/crm"


@pytest.mark.parametrize(
    ("text", "table"),
    [
        (URL, None),
        (f"{URL}#leads", "leads"),
        (f"{URL}?table=crm.leads", "crm.leads"),
        (f"{URL}?sslmode=require&table=a%20b#a%20b", "a b"),
    ],
)
def test_address_when_a_table_is_named_then_it_is_found_and_libpq_does_not_see_it(text, table):
    address = Address.of(text)
    assert address.table == table
    assert address.shown == "postgresql://reader@db.example:5433/crm" + (f"#{table}" if table else "")
    assert "table" not in address.url
    assert "#" not in address.url
    assert ("sslmode=require" in address.url) == ("sslmode" in text)


def test_address_when_two_tables_are_named_then_usage_error_without_the_password():
    with pytest.raises(UsageError, match="names two tables") as error:
        Address.of(f"{URL}?table=a#b")
    assert "cr" not in str(error.value).replace("crm", "")


@pytest.mark.parametrize(
    "text", ["postgresql://u:pa/ss@h:x/d", "postgresql://u:pw@[::1/d", "postgresql://u:pw@h:999999/d"]
)
def test_address_when_it_cannot_be_read_then_usage_error_without_the_password(text):
    with pytest.raises(UsageError, match="cannot be read as an address") as error:
        Address.of(text)
    assert "pw" not in str(error.value)
    assert "ss@" not in str(error.value)


def test_address_when_there_are_several_hosts_then_all_are_tried_by_libpq():
    address = Address.of("postgresql://u:pw@a:5432,[::1]:5433,c/d#t")
    assert address.shown == "postgresql://u@a:5432,[::1]:5433,c/d#t"
    assert "u:pw@a:5432,[::1]:5433,c/d" in address.url


def test_address_when_shown_by_python_then_the_password_is_not():
    assert "s3" not in repr(Address.of(URL))


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        (f"postgresql://u:{SECRET}@h/d#t", "postgresql://u:***@h/d#t"),
        ("postgresql:///d?user=u&password=x&sslpassword=y&a=b#t", "postgresql:///d?user=u&password=***&sslpassword=***&a=b#t"),
        ("postgresql://u@h:5432/d", "postgresql://u@h:5432/d"),
        ("C:/data/x@y.csv", "C:/data/x@y.csv"),
    ],
)  # fmt: skip
def test_masked_when_there_is_a_password_then_it_is_hidden_and_files_stay(text, hidden):
    assert masked(text) == hidden


def test_without_secrets_when_a_message_repeats_the_password_then_it_is_struck_out(monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    said = Address.of(URL).without_secrets(f"bad token {SECRET} s3%3Acr%40t%2Fx hunter2")
    assert said == "bad token *** *** ***"


def config(**leads):
    return Config.of({"leads": leads, "outcomes": {}})


def test_config_when_a_path_holds_a_password_then_only_the_address_has_it():
    found = config(path=f"{URL}#leads")
    assert found.leads.path == "postgresql://reader:***@db.example:5433/crm#leads"
    assert found.leads.address == f"{URL}#leads"
    for text in (repr(found), str(found.model_dump()), found.model_dump_json()):
        assert "s3%3A" not in text
    copied = found.model_copy(update={"leads": found.leads.model_copy(update={"where": "x"})})
    assert copied.leads.address == f"{URL}#leads"
    assert copied.leads.model_copy(update={"path": "old.csv"}).address == "old.csv"


@pytest.mark.parametrize(
    ("leads", "match"),
    [
        ({"path": "leads.duckdb", "query": "SELECT 1"}, "leads: 'query' is for a 'path' that begins with postgres"),
        ({"path": f"{URL}#leads", "query": "SELECT 1"}, "two ways"),
        ({"path": URL, "table": "leads", "query": "SELECT 1"}, "two ways"),
    ],
)  # fmt: skip
def test_config_when_a_query_does_not_fit_then_usage_error_without_the_password(leads, match):
    with pytest.raises(UsageError, match=match) as error:
        config(**leads)
    assert "s3%3A" not in str(error.value)


def test_existing_when_another_engine_meets_a_database_then_usage_error(tmp_path):
    with pytest.raises(UsageError, match="--engine local alone reads"):
        existing(Findings(), "events", masked(f"{URL}#e"), tmp_path)
    assert not is_postgres("spark:events")


def test_address_when_no_host_is_named_then_libpq_still_takes_it_for_an_address():
    assert Address.of("postgresql:///crm#leads").url.startswith("postgresql:///crm?")
    assert Address.of("postgresql://?service=crm").for_settings("s.leads") == "postgresql://?service=crm#s.leads"


def test_address_when_kept_in_settings_then_every_password_is_gone():
    address = Address.of("postgres://u:p%40@h:1/crm?sslpassword=q&sslmode=require&table=x")
    assert address.has_password
    assert address.for_settings("leads") == "postgresql://u@h:1/crm?sslmode=require#leads"
    assert not Address.of(address.for_settings("leads")).has_password

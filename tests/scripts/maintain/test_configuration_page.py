"""The page of the configuration shows the fields as they are."""

from dataclasses import fields

from trajectile.scripts.maintain import configuration_page as config_docs
from trajectile.scripts.maintain import pages
from trajectile.sw_model.config import load, sections


def test_the_page_shows_the_fields():
    """docs/configuration.md has the table; ``python -m trajectile.scripts.maintain.configuration_page`` writes it anew."""
    assert pages.read_part(config_docs.PAGE, config_docs.PART).strip() == config_docs.markdown().strip()
    assert pages.read_part(config_docs.PAGE, config_docs.MEMORY_PART).strip() == config_docs.memory_markdown().strip()


def test_every_field_says_what_it_is():
    """A comment of one line stands above each."""
    for section in sections.SECTIONS.values():
        assert list(config_docs.meanings(section)) == [field.name for field in fields(section)]


def test_legal_values_are_those_of_messages():
    """Also of fields that depend on others."""
    demo = load("demo")
    assert config_docs.legal_values(demo.layer, "top_k") == "an integer from 1 to 64"
    assert config_docs.legal_values(demo.tile, "protect") == "one of none, parity, secded"

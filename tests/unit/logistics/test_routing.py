"""Who carries what."""

import pytest
from pydantic import TypeAdapter, ValidationError

from services.logistics.routing import CarrierName, Rule, pick
from tests.builders import an_address

BOTH = [CarrierName.OWN_FLEET, CarrierName.DHL]
HOME_AND_ABROAD = [Rule(country="CN", carrier=CarrierName.OWN_FLEET), Rule(carrier=CarrierName.DHL)]


def test_the_first_rule_that_fits_decides() -> None:
    assert pick(HOME_AND_ABROAD, BOTH, an_address(country="CN")) == "own_fleet"
    assert pick(HOME_AND_ABROAD, BOTH, an_address(country="DE")) == "dhl"


def test_a_postcode_can_have_a_carrier_of_its_own() -> None:
    rules = [Rule(country="CN", postcode_prefix="85", carrier=CarrierName.DHL), *HOME_AND_ABROAD]

    assert pick(rules, BOTH, an_address(postcode="850000")) == "dhl"
    assert pick(rules, BOTH, an_address(postcode="310000")) == "own_fleet"


def test_a_carrier_that_is_not_offered_is_passed_over() -> None:
    assert pick(HOME_AND_ABROAD, ["own_fleet"], an_address(country="DE")) is None
    assert pick([Rule(carrier=CarrierName.DHL), *HOME_AND_ABROAD], ["own_fleet"], an_address(country="CN")) == "own_fleet"


@pytest.mark.parametrize("prefix", ["SW1A", "sw1a", "SW1A 1"])
@pytest.mark.parametrize("postcode", ["SW1A 1AA", "sw1a1aa"])
def test_a_postcode_is_the_same_however_it_is_written(prefix: str, postcode: str) -> None:
    rules = [Rule(country="GB", postcode_prefix=prefix, carrier=CarrierName.OWN_FLEET), *HOME_AND_ABROAD]

    assert pick(rules, BOTH, an_address(country="GB", postcode=postcode)) == "own_fleet"


@pytest.mark.parametrize(
    "rule",
    [
        '{"carrier":"pigeon"}',
        '{"carrier":"dhl","postcodes":"3"}',
        "{}",
        '{"country":"cn","carrier":"dhl"}',
        '{"country":"China","carrier":"dhl"}',
        '{"country":"","carrier":"dhl"}',
    ],
)
def test_a_rule_with_a_mistake_is_refused(rule: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Rule).validate_json(rule)

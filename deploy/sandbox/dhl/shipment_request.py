"""What `POST /shipments` must say, with the limits that MyDHL's own schema sets."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from deploy.sandbox.dhl import problems

PLANNED_SHIPPING = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2} ?GMT[+-]\d{2}:\d{2}$"
"""Such as 2026-11-24T08:00:00 GMT+00:00."""


def _text(longest: int, shortest: int = 1) -> object:
    return Field(min_length=shortest, max_length=longest)


class _Part(BaseModel):
    # Unknown keys are let pass: MyDHL has many more than are played here.
    model_config = ConfigDict(alias_generator=to_camel, frozen=True)


class PostalAddress(_Part):
    postal_code: Annotated[str, _text(12, 0)]
    city_name: Annotated[str, _text(45)]
    country_code: Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
    province_name: Annotated[str | None, _text(35)] = None
    address_line1: Annotated[str, _text(45), Field(alias="addressLine1")]
    address_line2: Annotated[str | None, _text(45), Field(alias="addressLine2")] = None
    address_line3: Annotated[str | None, _text(45), Field(alias="addressLine3")] = None


class ContactInformation(_Part):
    phone: Annotated[str, _text(70)]
    company_name: Annotated[str, _text(100)]
    full_name: Annotated[str, _text(255)]


class Party(_Part):
    postal_address: PostalAddress
    contact_information: ContactInformation


class CustomerDetails(_Part):
    shipper_details: Party
    receiver_details: Party


class Pickup(_Part):
    is_requested: bool


class Account(_Part):
    type_code: Literal["shipper", "payer", "duties-taxes"]
    number: Annotated[str, _text(12)]


class Dimensions(_Part):
    length: Annotated[float, Field(ge=1)]
    width: Annotated[float, Field(ge=1)]
    height: Annotated[float, Field(ge=1)]


class Package(_Part):
    weight: Annotated[float, Field(ge=0.001, le=999_999_999_999)]
    dimensions: Dimensions


class Content(_Part):
    packages: Annotated[tuple[Package, ...], Field(min_length=1, max_length=999)]
    is_customs_declarable: bool
    description: Annotated[str, _text(70)]
    incoterm: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    unit_of_measurement: Literal["metric", "imperial"]


class CustomerReference(_Part):
    value: Annotated[str, _text(35)]
    type_code: str = "CU"


class ShipmentRequest(_Part):
    """A parcel to be labelled."""

    planned_shipping_date_and_time: Annotated[str, Field(pattern=PLANNED_SHIPPING)]
    pickup: Pickup
    product_code: Annotated[str, _text(6)]
    accounts: Annotated[tuple[Account, ...], Field(min_length=1, max_length=5)]
    customer_details: CustomerDetails
    content: Content
    customer_references: Annotated[tuple[CustomerReference, ...], Field(max_length=999)] = ()

    @property
    def reference(self) -> str:
        """The shipper's own reference, or nothing."""
        return next((reference.value for reference in self.customer_references if reference.type_code == "CU"), "")

    @property
    def receiver_postal_code(self) -> str:
        return self.customer_details.receiver_details.postal_address.postal_code


def parse(body: bytes, account_number: str) -> ShipmentRequest:
    """Raises DhlError that lists all that is wrong, such as an account that is not the shipper's."""
    try:
        request = ShipmentRequest.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        raise problems.bad_request([f"#/{'/'.join(map(str, each['loc']))}: {each['msg']}" for each in found]) from error
    if all(account.number != account_number for account in request.accounts):
        raise problems.bad_request(["#/accounts: none of these accounts may be shipped on"])
    return request

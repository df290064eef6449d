"""Refusals in DHL's shape: `{"instance", "detail", "title", "message", "status", "additionalDetails"}`."""

from collections.abc import Sequence

from deploy.sandbox.json_answers import Document


class DhlError(Exception):
    """An answer that is not a success."""

    def __init__(self, status: int, title: str, detail: str, additional: Sequence[str] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.additional = list(additional)

    def document(self, path: str) -> Document:
        """The answer's body; `path` is the path that was called."""
        document: Document = {
            "instance": path,
            "detail": self.detail,
            "title": self.title,
            "message": self.title,
            "status": self.status,
        }
        if self.additional:
            document["additionalDetails"] = self.additional
        return document


def unauthorised() -> DhlError:
    return DhlError(401, "Unauthorized", "Invalid username or password.")


def server_error() -> DhlError:
    return DhlError(500, "Internal Server Error", "The request could not be processed. Please try again.")


def bad_request(additional: Sequence[str]) -> DhlError:
    return DhlError(400, "Bad request", "Multiple problems found, see Additional Details", additional)


def address_refused() -> DhlError:
    place = "#/customerDetails/receiverDetails/postalAddress/postalCode"
    detail = "The destination location is invalid."
    return DhlError(422, "Unprocessable Entity", detail, [f"{place}: not served by DHL Express"])


def nothing_found() -> DhlError:
    return DhlError(404, "No data found", "No shipment was found for this request.")

"""The label of a parcel: the smallest PDF that shows a tracking number."""

import base64


def label(tracking_number: str, receiver: str) -> str:
    """One page that any viewer opens, base64-encoded."""
    # The PDF's built-in font knows no more than Latin letters.
    name = receiver.encode("ascii", "replace").decode()
    for special in "\\()":
        name = name.replace(special, f"\\{special}")
    text = f"BT /F1 18 Tf 20 100 Td (SANDBOX {tracking_number}) Tj /F1 10 Tf 0 -24 Td ({name}) Tj ET".encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 288 144]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(text), text),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    pdf = b"%PDF-1.4\n"
    offsets = []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(pdf))
        pdf += b"%d 0 obj%s endobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    pdf += b"xref\n0 %d\n0000000000 65535 f \n%strailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (
        len(objects) + 1,
        table,
        len(objects) + 1,
        len(pdf),
    )
    return base64.b64encode(pdf).decode()

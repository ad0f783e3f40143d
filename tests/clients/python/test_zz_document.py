"""Runs last: what the document promises has been seen in the answers of this run."""

#: Fields that no answer of these suites has, and where they are tested instead.
ELSEWHERE = {
    # Messages of a WebSocket: `realtime`.
    "LiveText",
    # Text that nobody said, which needs a server without voice activity: `voice`.
    "Dropped",
    # A failure after the first event cannot be had from a healthy server.
    "ErrorEvent",
}
X_DROPPED = {("TranscriptionVerbose", "x_dropped"), ("Transcript", "x_dropped")}
# Only of transcripts in several languages: `spoken`.
SEVERAL_LANGUAGES = {("Segment", "language")}


def test_every_documented_field_of_an_answer_has_been_seen(document):
    expected = {(name, field) for name, field in document.answers() if name not in ELSEWHERE}
    assert expected - X_DROPPED - SEVERAL_LANGUAGES - document.seen == set()

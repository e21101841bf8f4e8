"""The tables of the database of a reconciliation."""

# The input is only appended to. Sorting it afterwards takes half the time of keeping
# tables sorted whose ids are random.
SCHEMA = """
PRAGMA cache_size = -32000;
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE event (
    message_id TEXT, received_at INTEGER, sequence INTEGER, time INTEGER, outcome TEXT,
    reason TEXT);
CREATE TABLE expected (
    number INTEGER PRIMARY KEY, event_type TEXT, record_id TEXT, message_id TEXT,
    received_at INTEGER, sequence INTEGER, time INTEGER, customer TEXT, body BLOB);
CREATE TABLE alternative (
    number INTEGER, since INTEGER, event_type TEXT, record_id TEXT, message_id TEXT,
    received_at INTEGER, sequence INTEGER, time INTEGER, customer TEXT, body BLOB);
CREATE TABLE superseded (
    event_type TEXT, record_id TEXT, time INTEGER,
    PRIMARY KEY (event_type, record_id)) WITHOUT ROWID;
CREATE TABLE accepted (message_id TEXT PRIMARY KEY, since INTEGER) WITHOUT ROWID;
CREATE TABLE restored (message_id TEXT, versions INTEGER);
CREATE TABLE unreadable (sequence INTEGER, reason TEXT);
CREATE TABLE found (number INTEGER PRIMARY KEY, customer TEXT);
CREATE TABLE finding (
    kind TEXT, event_type TEXT, record_id TEXT, time INTEGER, customer TEXT,
    origin TEXT, details TEXT, PRIMARY KEY (event_type, record_id, kind)) WITHOUT ROWID;
"""
# The tables of the finished input, and into which of them they are loaded again.
INPUT_TABLES = {
    "event": "event",
    "expected": "expected",
    "alternative": "alternative",
    "superseded": "superseded",
    "repeated": "restored",
}
# Those whose last column is the JSON of a billable event.
BODY_TABLES = {"expected", "alternative"}
ADD_EVENT = "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?)"
ADD_EXPECTED = "INSERT INTO expected VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)"
ADD_ALTERNATIVE = "INSERT INTO alternative VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
# Of an event, the version that Segment received last counts, and of these the last one
# in the input. A version that isn't sent to the destination replaces none. What only
# earlier versions have to bill is superseded. Alternatives are of the last version.
FINISH = """
CREATE INDEX event_by_id ON event (message_id);
CREATE TABLE repeated AS SELECT message_id, count(*) AS versions FROM event
    GROUP BY 1 HAVING versions > 1;
CREATE UNIQUE INDEX repeated_by_id ON repeated (message_id);
DELETE FROM event WHERE rowid IN (SELECT id FROM (
    SELECT event.rowid AS id, row_number() OVER (
        PARTITION BY message_id
        ORDER BY outcome = 'not sent', received_at DESC, sequence DESC) AS place
    FROM event JOIN repeated USING (message_id)) WHERE place > 1);
CREATE TABLE old AS SELECT number FROM expected JOIN event USING (message_id)
    WHERE message_id IN (SELECT message_id FROM repeated)
    AND (expected.received_at, expected.sequence)
        < (event.received_at, event.sequence);
INSERT OR REPLACE INTO superseded SELECT event_type, record_id, time FROM expected
    WHERE number IN (SELECT number FROM old) ORDER BY received_at, sequence;
DELETE FROM expected WHERE number IN (SELECT number FROM old);
DELETE FROM alternative WHERE NOT EXISTS (SELECT 1 FROM event
    WHERE event.message_id = alternative.message_id
    AND event.received_at = alternative.received_at
    AND event.sequence = alternative.sequence);
CREATE INDEX alternative_by_id ON alternative (event_type, record_id);
CREATE INDEX alternative_by_message ON alternative (message_id);
CREATE INDEX by_id ON expected (event_type, record_id);
CREATE INDEX by_time ON expected (event_type, time);
DELETE FROM superseded WHERE (event_type, record_id) IN
    (SELECT event_type, record_id FROM expected WHERE
        expected.event_type = superseded.event_type
        AND expected.record_id = superseded.record_id);
DELETE FROM expected WHERE number IN (SELECT number FROM (
    SELECT number, row_number() OVER (PARTITION BY event_type, record_id
        ORDER BY received_at DESC, sequence DESC) AS place
    FROM expected WHERE (event_type, record_id) IN (
        SELECT event_type, record_id FROM expected GROUP BY 1, 2 HAVING count(*) > 1))
    WHERE place > 1);
"""

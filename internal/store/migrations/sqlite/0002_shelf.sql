-- What lies in which collection. Evidence:

CREATE TABLE shelf (
  n INTEGER PRIMARY KEY, act INTEGER NOT NULL,
  collection TEXT NOT NULL,
  what INTEGER NOT NULL,      -- 1 put, 2 taken off
  added INTEGER NOT NULL,     -- put: date_added of the first member, microseconds; each further one's is one later
  members BLOB NOT NULL       -- packed: put: version, message row; taken off: date, version, message row
) STRICT;
CREATE INDEX shelf_collection ON shelf (collection, n);

-- Derived:

CREATE TABLE shelved (
  c INTEGER NOT NULL, added INTEGER NOT NULL,
  seq INTEGER NOT NULL,       -- version
  at INTEGER NOT NULL,        -- in a partner's collection: out_message.n << 10 | which of its objects
  h INTEGER NOT NULL,         -- hash of the STIX id
  type INTEGER NOT NULL,      -- word
  ver TEXT NOT NULL,          -- its version, each instant in one spelling; '' = none
  ends INTEGER NOT NULL,      -- 1 the last version, 2 the first
  PRIMARY KEY (c, added)
) STRICT, WITHOUT ROWID;
CREATE INDEX shelved_id ON shelved (c, h, added);
CREATE INDEX shelved_type ON shelved (c, type, added);

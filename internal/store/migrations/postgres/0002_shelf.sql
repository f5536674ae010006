-- What lies in which collection. Evidence:

CREATE TABLE shelf (
  n BIGINT PRIMARY KEY, act BIGINT NOT NULL,
  collection BYTEA NOT NULL,
  what BIGINT NOT NULL,       -- 1 put, 2 taken off
  added BIGINT NOT NULL,      -- put: date_added of the first member, microseconds; each further one's is one later
  members BYTEA NOT NULL      -- packed: put: version, message row; taken off: date, version, message row
);
CREATE INDEX shelf_collection ON shelf (collection, n);

-- Derived:

CREATE TABLE shelved (
  c BIGINT NOT NULL, added BIGINT NOT NULL,
  seq BIGINT NOT NULL,        -- version
  at BIGINT NOT NULL,         -- in a partner's collection: out_message.n << 10 | which of its objects
  h BIGINT NOT NULL,          -- hash of the STIX id
  type BIGINT NOT NULL,       -- word
  ver TEXT COLLATE "C" NOT NULL, -- its version, each instant in one spelling; '' = none
  ends BIGINT NOT NULL,       -- 1 the last version, 2 the first
  PRIMARY KEY (c, added)
);
CREATE INDEX shelved_id ON shelved (c, h, added);
CREATE INDEX shelved_type ON shelved (c, type, added);

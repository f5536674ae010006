-- The tables of the SQLite file, with the same columns in the same order. TEXT
-- is compared byte by byte, as there. What others write may have any byte in it
-- (a NUL, which no TEXT takes) and is BYTEA: so every row of a file fits. An
-- index ends with the key where SQLite's has it unsaid.

-- Evidence: append-only; every row belongs to one act and is in its leaf.
-- n (seq) is dense from 1; object and notice share one sequence, the feed.

CREATE TABLE word (
  n BIGINT PRIMARY KEY, act BIGINT NOT NULL,
  text BYTEA NOT NULL
);
CREATE INDEX word_text ON word USING hash (text); -- of any length; the lane keeps them unique

CREATE TABLE object (
  seq BIGINT PRIMARY KEY, act BIGINT NOT NULL,
  sid TEXT COLLATE "C" NOT NULL,          -- STIX id
  type BIGINT NOT NULL,      -- word
  source BIGINT NOT NULL,    -- word: noroshi.Source as JSON
  run BIGINT NOT NULL,       -- word
  view BIGINT NOT NULL,
  bits BIGINT NOT NULL,      -- revoked, creator, flagged
  modified TEXT COLLATE "C" NOT NULL,     -- as spelled, '' = none
  hash BYTEA NOT NULL,         -- SHA-256 of body
  meta BYTEA NOT NULL,         -- values, references, assigned markings, flags, validity
  words BYTEA NOT NULL,        -- for full text
  body BYTEA NOT NULL          -- exact bytes
);
CREATE INDEX object_type ON object (type, seq);
CREATE INDEX object_run ON object (run, seq);
CREATE INDEX object_words ON object (seq) WHERE words <> '';

CREATE TABLE notice (
  seq BIGINT PRIMARY KEY, act BIGINT NOT NULL,
  kind TEXT COLLATE "C" NOT NULL, id TEXT COLLATE "C" NOT NULL
);

CREATE TABLE assigned (
  n BIGINT PRIMARY KEY, act BIGINT NOT NULL,
  seq BIGINT NOT NULL, marking TEXT COLLATE "C" NOT NULL
);
CREATE INDEX assigned_seq ON assigned (seq, n);

CREATE TABLE withdrawn (
  n BIGINT PRIMARY KEY, act BIGINT NOT NULL,
  sid TEXT COLLATE "C" NOT NULL, owner BYTEA NOT NULL,
  upto TEXT COLLATE "C" NOT NULL          -- the newest version withdrawn, as spelled; '' = every one, those to come too
);
CREATE INDEX withdrawn_sid ON withdrawn (sid, n);

CREATE TABLE quarantine (
  n BIGINT PRIMARY KEY, act BIGINT NOT NULL,
  source BIGINT NOT NULL, run BIGINT NOT NULL,
  code TEXT COLLATE "C" NOT NULL, place BYTEA NOT NULL, detail BYTEA NOT NULL,
  raw BYTEA NOT NULL, size BIGINT NOT NULL
);

CREATE TABLE doc (
  n BIGINT PRIMARY KEY, act BIGINT NOT NULL,
  kind TEXT COLLATE "C" NOT NULL, id BYTEA NOT NULL, body BYTEA NOT NULL
);
CREATE INDEX doc_id ON doc (kind, id, n);

CREATE TABLE hold_log (
  n BIGINT PRIMARY KEY, act BIGINT NOT NULL,
  hold TEXT COLLATE "C" NOT NULL,         -- '' for drop and taken back
  what BIGINT NOT NULL,      -- 1 put, 2 close, 3 drop, 4 taken back
  body BYTEA NOT NULL,         -- put: the group; close: state; drop, taken back: partner
  lo BIGINT NOT NULL, hi BIGINT NOT NULL, -- of the members' sequences
  members BYTEA NOT NULL       -- packed
);
CREATE INDEX hold_log_hold ON hold_log (hold, what, lo, n);

CREATE TABLE approval (
  n BIGINT PRIMARY KEY, act BIGINT NOT NULL,
  hold TEXT COLLATE "C" NOT NULL, person BYTEA NOT NULL,
  root BYTEA NOT NULL, digest BYTEA NOT NULL, signature BYTEA NOT NULL,
  time BIGINT NOT NULL
);
CREATE INDEX approval_hold ON approval (hold, n);

CREATE TABLE batch (
  n BIGINT PRIMARY KEY, act BIGINT NOT NULL,
  id TEXT COLLATE "C" NOT NULL, partner BYTEA NOT NULL, agreement BYTEA NOT NULL,
  clause BYTEA NOT NULL, label BYTEA NOT NULL, prec BIGINT NOT NULL,
  count BIGINT NOT NULL, root BYTEA NOT NULL, hold TEXT COLLATE "C" NOT NULL,
  approvals BYTEA NOT NULL
);
CREATE UNIQUE INDEX batch_id ON batch (id);

CREATE TABLE batch_rows (
  n BIGINT PRIMARY KEY, act BIGINT NOT NULL,
  batch BIGINT NOT NULL, first BIGINT NOT NULL, count BIGINT NOT NULL,
  cuts BIGINT NOT NULL,      -- how many of them are views
  members BYTEA NOT NULL       -- packed
);
CREATE UNIQUE INDEX batch_rows_batch ON batch_rows (batch, first);
CREATE INDEX batch_rows_cuts ON batch_rows (batch, n) WHERE cuts > 0;

CREATE TABLE out_message (
  n BIGINT PRIMARY KEY, act BIGINT NOT NULL,
  partner BYTEA NOT NULL, epoch BYTEA NOT NULL, seq BIGINT NOT NULL,
  id BYTEA NOT NULL, kind BIGINT NOT NULL, prec BIGINT NOT NULL,
  created BIGINT NOT NULL, ttl BIGINT NOT NULL,
  signed BYTEA NOT NULL, content BYTEA NOT NULL, has_content BIGINT NOT NULL,
  batch TEXT COLLATE "C" NOT NULL, first BIGINT NOT NULL, count BIGINT NOT NULL,
  chain BYTEA NOT NULL
);
CREATE UNIQUE INDEX out_message_seq ON out_message (partner, epoch, seq);
CREATE INDEX out_message_batch ON out_message (batch, n);

CREATE TABLE out_event (
  n BIGINT PRIMARY KEY, act BIGINT NOT NULL,
  partner BYTEA NOT NULL, epoch BYTEA NOT NULL, state BIGINT NOT NULL,
  how BYTEA NOT NULL, seqs BYTEA NOT NULL -- packed runs
);

CREATE TABLE in_message (
  n BIGINT PRIMARY KEY, act BIGINT NOT NULL,
  partner BYTEA NOT NULL, epoch BYTEA NOT NULL, seq BIGINT NOT NULL,
  id BYTEA NOT NULL, kind BIGINT NOT NULL, prec BIGINT NOT NULL,
  created BIGINT NOT NULL, signed BYTEA NOT NULL,
  content_hash BYTEA NOT NULL, channel BYTEA NOT NULL,
  state BIGINT NOT NULL, second BIGINT NOT NULL
);
CREATE INDEX in_message_seq ON in_message (partner, epoch, seq, n);

CREATE TABLE in_event (
  n BIGINT PRIMARY KEY, act BIGINT NOT NULL,
  partner BYTEA NOT NULL, epoch BYTEA NOT NULL, seq BIGINT NOT NULL,
  state BIGINT NOT NULL
);

CREATE TABLE evidence (
  n BIGINT PRIMARY KEY, act BIGINT NOT NULL,
  partner BYTEA NOT NULL, kind BIGINT NOT NULL, epoch BYTEA NOT NULL,
  counter BIGINT NOT NULL, signed BYTEA NOT NULL
);
CREATE INDEX evidence_kind ON evidence (partner, kind, epoch, counter, n);

CREATE TABLE signer (
  n BIGINT PRIMARY KEY, act BIGINT NOT NULL,
  node BYTEA NOT NULL, pubkey BYTEA NOT NULL
);

-- The ledger.

CREATE TABLE act (
  idx BIGINT PRIMARY KEY, time BIGINT NOT NULL,
  leaf BYTEA NOT NULL, detail BYTEA NOT NULL
);
CREATE TABLE tree (id BIGINT PRIMARY KEY, partner BYTEA NOT NULL);
CREATE TABLE tree_hash (id BIGINT PRIMARY KEY, hashes BYTEA NOT NULL);       -- tree << 40 | chunk
CREATE TABLE link_leaf (id BIGINT PRIMARY KEY, act BIGINT NOT NULL);       -- tree << 40 | index
CREATE TABLE checkpoint (id BIGINT PRIMARY KEY, note BYTEA NOT NULL);        -- tree << 40 | size / 1000

-- Derived: made from the evidence, compared with it by Verify.

CREATE TABLE head (h BIGINT PRIMARY KEY, first BIGINT NOT NULL, current BIGINT NOT NULL);
CREATE TABLE version (h BIGINT NOT NULL, seq BIGINT NOT NULL, PRIMARY KEY (h, seq));
CREATE TABLE mark (seq BIGINT PRIMARY KEY, bits BIGINT NOT NULL);
CREATE TABLE value (h BIGINT NOT NULL, seq BIGINT NOT NULL, PRIMARY KEY (h, seq));
CREATE TABLE addr (ip BYTEA NOT NULL, bits BIGINT NOT NULL, seq BIGINT NOT NULL, port BIGINT NOT NULL,
  PRIMARY KEY (ip, bits, seq, port));
CREATE TABLE ref (target TEXT COLLATE "C" NOT NULL, sid TEXT COLLATE "C" NOT NULL, PRIMARY KEY (target, sid));
CREATE TABLE hold (
  id TEXT COLLATE "C" PRIMARY KEY, n BIGINT NOT NULL, partner BYTEA NOT NULL, state TEXT COLLATE "C" NOT NULL,
  opened BIGINT NOT NULL, body BYTEA NOT NULL, members BIGINT NOT NULL
);
CREATE UNIQUE INDEX hold_n ON hold (n);
CREATE TABLE span (
  kind BIGINT NOT NULL, partner BYTEA NOT NULL, lo BIGINT NOT NULL, hi BIGINT NOT NULL, val BIGINT NOT NULL,
  PRIMARY KEY (kind, partner, lo)
);
CREATE TABLE unsent (
  partner BYTEA NOT NULL, rank BIGINT NOT NULL, batch BIGINT NOT NULL, sent BIGINT NOT NULL,
  PRIMARY KEY (partner, rank, batch)
);
CREATE TABLE out_state (
  n BIGINT PRIMARY KEY, state BIGINT NOT NULL, time BIGINT NOT NULL, attempts BIGINT NOT NULL
);
CREATE TABLE pending (
  partner BYTEA NOT NULL, epoch BYTEA NOT NULL, rank BIGINT NOT NULL, seq BIGINT NOT NULL,
  PRIMARY KEY (partner, epoch, rank, seq)
);
CREATE TABLE in_state (
  partner BYTEA NOT NULL, epoch BYTEA NOT NULL, seq BIGINT NOT NULL, state BIGINT NOT NULL, time BIGINT NOT NULL,
  PRIMARY KEY (partner, epoch, seq)
);
CREATE TABLE in_content (n BIGINT PRIMARY KEY, content BYTEA NOT NULL);
CREATE TABLE cursor (follower TEXT COLLATE "C" PRIMARY KEY, seq BIGINT NOT NULL, signature BYTEA NOT NULL);
CREATE TABLE armed (block BIGINT PRIMARY KEY, entries BYTEA NOT NULL);
CREATE TABLE fts (seq BIGINT PRIMARY KEY, terms BIGINT[] NOT NULL);     -- keyed hashes of a version's tokens
CREATE INDEX fts_terms ON fts USING gin (terms);

-- Who leads: the term of each lease. Of the database alone: no copy takes it.
CREATE TABLE lease (name TEXT COLLATE "C" PRIMARY KEY, term BIGINT NOT NULL);

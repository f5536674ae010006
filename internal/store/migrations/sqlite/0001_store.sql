-- Evidence: append-only; every row belongs to one act and is in its leaf.
-- n (seq) is dense from 1; object and notice share one sequence, the feed.

CREATE TABLE word (
  n INTEGER PRIMARY KEY, act INTEGER NOT NULL,
  text TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX word_text ON word (text);

CREATE TABLE object (
  seq INTEGER PRIMARY KEY, act INTEGER NOT NULL,
  sid TEXT NOT NULL,          -- STIX id
  type INTEGER NOT NULL,      -- word
  source INTEGER NOT NULL,    -- word: noroshi.Source as JSON
  run INTEGER NOT NULL,       -- word
  view INTEGER NOT NULL,
  bits INTEGER NOT NULL,      -- revoked, creator, flagged
  modified TEXT NOT NULL,     -- as spelled, '' = none
  hash BLOB NOT NULL,         -- SHA-256 of body
  meta BLOB NOT NULL,         -- values, references, assigned markings, flags, validity
  words TEXT NOT NULL,        -- for full text
  body BLOB NOT NULL          -- exact bytes
) STRICT;
CREATE INDEX object_type ON object (type);
CREATE INDEX object_run ON object (run);
CREATE INDEX object_words ON object (seq) WHERE words <> '';

CREATE TABLE notice (
  seq INTEGER PRIMARY KEY, act INTEGER NOT NULL,
  kind TEXT NOT NULL, id TEXT NOT NULL
) STRICT;

CREATE TABLE assigned (
  n INTEGER PRIMARY KEY, act INTEGER NOT NULL,
  seq INTEGER NOT NULL, marking TEXT NOT NULL
) STRICT;
CREATE INDEX assigned_seq ON assigned (seq);

CREATE TABLE withdrawn (
  n INTEGER PRIMARY KEY, act INTEGER NOT NULL,
  sid TEXT NOT NULL, owner TEXT NOT NULL,
  upto TEXT NOT NULL          -- the newest version withdrawn, as spelled; '' = every one, those to come too
) STRICT;
CREATE INDEX withdrawn_sid ON withdrawn (sid);

CREATE TABLE quarantine (
  n INTEGER PRIMARY KEY, act INTEGER NOT NULL,
  source INTEGER NOT NULL, run INTEGER NOT NULL,
  code TEXT NOT NULL, place TEXT NOT NULL, detail TEXT NOT NULL,
  raw BLOB NOT NULL, size INTEGER NOT NULL
) STRICT;

CREATE TABLE doc (
  n INTEGER PRIMARY KEY, act INTEGER NOT NULL,
  kind TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE INDEX doc_id ON doc (kind, id);

CREATE TABLE hold_log (
  n INTEGER PRIMARY KEY, act INTEGER NOT NULL,
  hold TEXT NOT NULL,         -- '' for drop and taken back
  what INTEGER NOT NULL,      -- 1 put, 2 close, 3 drop, 4 taken back
  body BLOB NOT NULL,         -- put: the group; close: state; drop, taken back: partner
  lo INTEGER NOT NULL, hi INTEGER NOT NULL, -- of the members' sequences
  members BLOB NOT NULL       -- packed
) STRICT;
CREATE INDEX hold_log_hold ON hold_log (hold, what, lo);

CREATE TABLE approval (
  n INTEGER PRIMARY KEY, act INTEGER NOT NULL,
  hold TEXT NOT NULL, person TEXT NOT NULL,
  root BLOB NOT NULL, digest BLOB NOT NULL, signature BLOB NOT NULL,
  time INTEGER NOT NULL
) STRICT;
CREATE INDEX approval_hold ON approval (hold);

CREATE TABLE batch (
  n INTEGER PRIMARY KEY, act INTEGER NOT NULL,
  id TEXT NOT NULL, partner BLOB NOT NULL, agreement BLOB NOT NULL,
  clause TEXT NOT NULL, label TEXT NOT NULL, prec INTEGER NOT NULL,
  count INTEGER NOT NULL, root BLOB NOT NULL, hold TEXT NOT NULL,
  approvals BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX batch_id ON batch (id);

CREATE TABLE batch_rows (
  n INTEGER PRIMARY KEY, act INTEGER NOT NULL,
  batch INTEGER NOT NULL, first INTEGER NOT NULL, count INTEGER NOT NULL,
  cuts INTEGER NOT NULL,      -- how many of them are views
  members BLOB NOT NULL       -- packed
) STRICT;
CREATE UNIQUE INDEX batch_rows_batch ON batch_rows (batch, first);
CREATE INDEX batch_rows_cuts ON batch_rows (batch) WHERE cuts > 0;

CREATE TABLE out_message (
  n INTEGER PRIMARY KEY, act INTEGER NOT NULL,
  partner BLOB NOT NULL, epoch BLOB NOT NULL, seq INTEGER NOT NULL,
  id BLOB NOT NULL, kind INTEGER NOT NULL, prec INTEGER NOT NULL,
  created INTEGER NOT NULL, ttl INTEGER NOT NULL,
  signed BLOB NOT NULL, content BLOB NOT NULL, has_content INTEGER NOT NULL,
  batch TEXT NOT NULL, first INTEGER NOT NULL, count INTEGER NOT NULL,
  chain BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX out_message_seq ON out_message (partner, epoch, seq);
CREATE INDEX out_message_batch ON out_message (batch);

CREATE TABLE out_event (
  n INTEGER PRIMARY KEY, act INTEGER NOT NULL,
  partner BLOB NOT NULL, epoch BLOB NOT NULL, state INTEGER NOT NULL,
  how TEXT NOT NULL, seqs BLOB NOT NULL -- packed runs
) STRICT;

CREATE TABLE in_message (
  n INTEGER PRIMARY KEY, act INTEGER NOT NULL,
  partner BLOB NOT NULL, epoch BLOB NOT NULL, seq INTEGER NOT NULL,
  id BLOB NOT NULL, kind INTEGER NOT NULL, prec INTEGER NOT NULL,
  created INTEGER NOT NULL, signed BLOB NOT NULL,
  content_hash BLOB NOT NULL, channel TEXT NOT NULL,
  state INTEGER NOT NULL, second INTEGER NOT NULL
) STRICT;
CREATE INDEX in_message_seq ON in_message (partner, epoch, seq);

CREATE TABLE in_event (
  n INTEGER PRIMARY KEY, act INTEGER NOT NULL,
  partner BLOB NOT NULL, epoch BLOB NOT NULL, seq INTEGER NOT NULL,
  state INTEGER NOT NULL
) STRICT;

CREATE TABLE evidence (
  n INTEGER PRIMARY KEY, act INTEGER NOT NULL,
  partner BLOB NOT NULL, kind INTEGER NOT NULL, epoch BLOB NOT NULL,
  counter INTEGER NOT NULL, signed BLOB NOT NULL
) STRICT;
CREATE INDEX evidence_kind ON evidence (partner, kind, epoch, counter);

CREATE TABLE signer (
  n INTEGER PRIMARY KEY, act INTEGER NOT NULL,
  node BLOB NOT NULL, pubkey BLOB NOT NULL
) STRICT;

-- The ledger.

CREATE TABLE act (
  idx INTEGER PRIMARY KEY, time INTEGER NOT NULL,
  leaf BLOB NOT NULL, detail BLOB NOT NULL
) STRICT;
CREATE TABLE tree (id INTEGER PRIMARY KEY, partner BLOB NOT NULL) STRICT;
CREATE TABLE tree_hash (id INTEGER PRIMARY KEY, hashes BLOB NOT NULL) STRICT;       -- tree << 40 | chunk
CREATE TABLE link_leaf (id INTEGER PRIMARY KEY, act INTEGER NOT NULL) STRICT;       -- tree << 40 | index
CREATE TABLE checkpoint (id INTEGER PRIMARY KEY, note BLOB NOT NULL) STRICT;        -- tree << 40 | size / 1000

-- Derived: made from the evidence, compared with it by Verify.

CREATE TABLE head (h INTEGER PRIMARY KEY, first INTEGER NOT NULL, current INTEGER NOT NULL) STRICT;
CREATE TABLE version (h INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (h, seq)) STRICT, WITHOUT ROWID;
CREATE TABLE mark (seq INTEGER PRIMARY KEY, bits INTEGER NOT NULL) STRICT;
CREATE TABLE value (h INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (h, seq)) STRICT, WITHOUT ROWID;
CREATE TABLE addr (ip BLOB NOT NULL, bits INTEGER NOT NULL, seq INTEGER NOT NULL, port INTEGER NOT NULL,
  PRIMARY KEY (ip, bits, seq, port)) STRICT, WITHOUT ROWID;
CREATE TABLE ref (target TEXT NOT NULL, sid TEXT NOT NULL, PRIMARY KEY (target, sid)) STRICT, WITHOUT ROWID;
CREATE TABLE hold (
  id TEXT PRIMARY KEY, n INTEGER NOT NULL, partner BLOB NOT NULL, state TEXT NOT NULL,
  opened INTEGER NOT NULL, body BLOB NOT NULL, members INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX hold_n ON hold (n);
CREATE TABLE span (
  kind INTEGER NOT NULL, partner BLOB NOT NULL, lo INTEGER NOT NULL, hi INTEGER NOT NULL, val INTEGER NOT NULL,
  PRIMARY KEY (kind, partner, lo)
) STRICT, WITHOUT ROWID;
CREATE TABLE unsent (
  partner BLOB NOT NULL, rank INTEGER NOT NULL, batch INTEGER NOT NULL, sent INTEGER NOT NULL,
  PRIMARY KEY (partner, rank, batch)
) STRICT, WITHOUT ROWID;
CREATE TABLE out_state (
  n INTEGER PRIMARY KEY, state INTEGER NOT NULL, time INTEGER NOT NULL, attempts INTEGER NOT NULL
) STRICT;
CREATE TABLE pending (
  partner BLOB NOT NULL, epoch BLOB NOT NULL, rank INTEGER NOT NULL, seq INTEGER NOT NULL,
  PRIMARY KEY (partner, epoch, rank, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE in_state (
  partner BLOB NOT NULL, epoch BLOB NOT NULL, seq INTEGER NOT NULL, state INTEGER NOT NULL, time INTEGER NOT NULL,
  PRIMARY KEY (partner, epoch, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE in_content (n INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT;
CREATE TABLE cursor (follower TEXT PRIMARY KEY, seq INTEGER NOT NULL, signature BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE armed (block INTEGER PRIMARY KEY, entries BLOB NOT NULL) STRICT;
CREATE VIRTUAL TABLE fts USING fts5 (words, content='', detail=none, columnsize=0, tokenize='unicode61 remove_diacritics 0');
CREATE VIRTUAL TABLE fts_terms USING fts5vocab (fts, instance);

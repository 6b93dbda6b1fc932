-- Schema 2. Slots hold ranges of row numbers in memory (service/cluster/); what they hold can always be read anew.
CREATE TABLE softkv.slots (
    name text COLLATE "C" PRIMARY KEY,
    node text COLLATE "C" NOT NULL,       -- the machine that it runs on
    seen timestamptz NOT NULL,
    leaving boolean NOT NULL DEFAULT false -- it is to hold nothing any more, once others hold what it has
);

-- The ranges that a slot has ready.
CREATE TABLE softkv.held (
    slot text COLLATE "C" NOT NULL REFERENCES softkv.slots ON DELETE CASCADE,
    collection bigint NOT NULL REFERENCES softkv.collections ON DELETE CASCADE,
    first_row bigint NOT NULL,
    PRIMARY KEY (collection, first_row, slot)
);
CREATE INDEX held_by_slot ON softkv.held (slot);

-- Schema 6. Documents that expire, default options of questions, and feedback.
ALTER TABLE softkv.collections
    ADD COLUMN expire_after bigint CHECK (expire_after > 0), -- microseconds that new documents live; NULL: for ever
    ADD COLUMN defaults text, -- JSON: options of questions that do not send their own
    ADD COLUMN first_expiry bigint; -- microseconds of Unix time before which no document expires; NULL: none ever does

ALTER TABLE softkv.documents
    ADD COLUMN expires bigint; -- microseconds of Unix time from which on it is absent; NULL: never
CREATE INDEX documents_by_expiry ON softkv.documents (collection, expires) WHERE expires IS NOT NULL AND died IS NULL;

-- What callers said of answers, oldest first.
CREATE TABLE softkv.feedback (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    collection bigint NOT NULL REFERENCES softkv.collections ON DELETE CASCADE,
    query text NOT NULL,          -- JSON: a text or a vector
    document text COLLATE "C",    -- the id of a document; NULL: the collection has no answer
    correct boolean NOT NULL,     -- whether that is right
    at bigint NOT NULL,           -- microseconds of Unix time
    observed text,                -- JSON: what the calibration of that time expected
    checksum bigint NOT NULL
);
CREATE INDEX feedback_by_collection ON softkv.feedback (collection, id);

-- Schema 3. What labelled questions said of a collection, as JSON; a checksum leaves it out where there is none.
ALTER TABLE softkv.collections ADD COLUMN calibration text;

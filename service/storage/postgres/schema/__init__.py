"""The tables, as numbered files that are run one after another."""

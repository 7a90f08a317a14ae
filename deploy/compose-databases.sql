-- Prefect has a database of its own beside that of the provenance.
CREATE DATABASE prefect;

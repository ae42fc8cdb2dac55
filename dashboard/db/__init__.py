"""The hub's database: engine, tables, migrations, and the queries that several parts share."""

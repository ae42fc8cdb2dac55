"""The hub's database: tables, migrations and queries."""

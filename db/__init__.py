"""The data layer: connections, migrations, named SQL and one typed function a query. It imports nothing of ours."""

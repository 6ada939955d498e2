"""The demo's data: the contacts, campaigns and a year of events of an invented shop. Nobody in it is real.

`contacts.csv` and `campaigns.yaml` are the sources; `history.load` plays the year out in memory, the same for the same
time; `load.load` puts it into a tenant of the database.
"""

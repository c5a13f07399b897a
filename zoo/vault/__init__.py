"""The far side of the vault: servers, workers and what passes between them and the driver.

What runs here sees a Task and nothing else: no label it was not granted, no cell id, no hash or path of data.
"""

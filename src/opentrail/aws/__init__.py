"""THE WIRE: service models, protocols, validation, signatures. Knows nothing of OpenTrail's own subjects."""

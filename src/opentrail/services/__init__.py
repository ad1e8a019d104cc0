"""API HANDLERS: one package per service that OpenTrail answers itself."""

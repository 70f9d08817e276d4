"""The same node and the same Localizer on the few real samples: what comes out, as it is."""

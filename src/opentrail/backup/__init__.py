"""A copy of HOME that is consistent while everything runs, proved whole, and put back."""

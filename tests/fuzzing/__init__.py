"""Random cases: what they are made of (`models`, `files`, `programs`) and what may come of them."""

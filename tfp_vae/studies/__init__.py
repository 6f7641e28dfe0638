"""Programs that train many models and compare them: each a plan, a run and what it writes."""

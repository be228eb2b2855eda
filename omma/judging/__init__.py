"""Which of two ways to answer is better, and whether the new one does harm: pure arithmetic, no clock, no database.

Comparing single answers (rankings), mixing two into one list (draft), clicks by caller (moments, estimate), how sure
that is (confidence, sample_ratio), harm (guardrails) and what follows from it all (verdict): docs/adr/0017.
"""

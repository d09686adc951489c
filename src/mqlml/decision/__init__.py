"""Decision: from chances to marketing-qualified leads, tiers and the evidence for them."""

def model_card(s): return ""

"""Export to CTranslate2 model directories."""

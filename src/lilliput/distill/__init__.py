"""Students: their modules, their tokenizers, and how a teacher's knowledge gets into them."""

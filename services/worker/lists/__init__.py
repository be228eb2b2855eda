"""Lists of pictures: each line looked up where it points, its row made, and what came of it kept."""

"""What every measure shares: the vectors and their exact answers, the machine, figures and where they are kept."""

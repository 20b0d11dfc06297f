"""Part `lrgd`: better sets, scores that predict use, stabler inference, and their cost."""

"""Which files a task will change, before anybody plans it, and which two tasks will meet. Pure, and measured on the past."""

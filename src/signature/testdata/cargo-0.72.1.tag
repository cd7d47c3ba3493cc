object c0eb6cc012af6d6555c761729f7fb5f5254b40ab
type commit
tag 0.72.1
tagger Pietro Albini <pietro@pietroalbini.org> 1689624177 +0200

0.72.1 release

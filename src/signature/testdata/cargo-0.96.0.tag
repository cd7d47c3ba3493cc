object f2d3ce0bd7f24a49f8f72d9000448f8838c4e850
type commit
tag 0.96.0
tagger rust-lang/promote-release <release-team@rust-lang.org> 1776522836 -0400

0.96.0 release

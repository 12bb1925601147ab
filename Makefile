# One-line aliases of `cargo xtask` verbs; the verbs say what they do.
#
# The rust-python targets build through Nix when flakes work here and a substituter
# answers within 5 s, else through cargo, and say which and why. BUILD=nix or
# BUILD=cargo decides for good. Without cargo the tasks run in Nix's own shell.

XTASK := $(if $(shell command -v cargo),cargo xtask,nix --extra-experimental-features 'nix-command flakes' develop --command cargo xtask)
WITH = --with $(or $(BUILD),auto)

.DEFAULT_GOAL := build

.PHONY: build test check tidy bench install uninstall doctor ci package repro nix
build test check tidy bench install uninstall doctor ci package repro nix:
	$(XTASK) $@ $(ARGS)

.PHONY: rust-python rust-python-test rust-python-check rust-python-install
rust-python:
	$(XTASK) build $(WITH) $(ARGS)
rust-python-test:
	$(XTASK) test $(WITH) $(ARGS)
rust-python-check:
	$(XTASK) check $(WITH) $(ARGS)
rust-python-install:
	$(XTASK) install $(WITH) $(ARGS)

//! One line of help under errors that the sandbox causes.
//!
//! **Invariant:** a hint is added to what is shown, never to the exception: a
//! program that catches it sees what the kernel said.

use proto::frame::Raised;

/// What the kernel says where the policy refuses (`EPERM`, `EACCES`).
const REFUSED: [(&str, &str); 2] = [
    (
        "[Errno 1]",
        "hint: the sandbox refuses this: an execution starts no processes, opens no sockets, \
         signals nobody else, shares no memory and has no privileges; threads are allowed, and \
         anonymous memory maps with MAP_PRIVATE; a profile may grant TCP (`sandbox.network`) and \
         processes (`sandbox.processes`)\n",
    ),
    (
        "[Errno 13]",
        "hint: the sandbox refuses this: an execution reads the interpreter, its packages, \
         --python-path and --file-root, and writes only in its working directory; \
         a profile may grant more (`sandbox.read_paths`, `sandbox.write_paths`, \
         `sandbox.executables`, the ports of `sandbox.network`)\n",
    ),
];

/// Adds the hint that fits, if one does.
pub fn add(raised: &mut Raised) {
    if raised.r#type != "PermissionError" {
        return;
    }
    let hint = REFUSED.iter().find(|(errno, _)| raised.message.starts_with(errno));
    if let Some((_, hint)) = hint {
        raised.traceback.push_str(hint);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_refusals_get_a_hint() {
        for (kind, message, expected) in [
            ("PermissionError", "[Errno 1] Operation not permitted", "processes"),
            ("PermissionError", "[Errno 13] Permission denied: '/x'", "working directory"),
            ("PermissionError", "my own", ""),
            ("OSError", "[Errno 1] x", ""),
        ] {
            let mut raised = Raised {
                r#type: kind.to_owned(),
                message: message.to_owned(),
                ..Raised::default()
            };
            add(&mut raised);
            assert!(raised.traceback.contains(expected));
            assert_eq!(raised.traceback.is_empty(), expected.is_empty());
        }
    }
}

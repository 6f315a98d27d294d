//! What a person reads of each refusal.

use axum::http::StatusCode;

/// What a person reads.
#[derive(Clone, Copy)]
pub struct Words {
    /// What happened, in a few words.
    pub title: &'static str,
    /// What happened.
    pub what: &'static str,
    /// What to do.
    pub next: &'static str,
    /// Where that is, and in which words, when it is a page of ours.
    pub link: Option<(&'static str, &'static str)>,
}

/// The words for a refusal. What is said of a form's size and slowness is the same whatever the code.
#[must_use]
pub fn of(status: StatusCode, code: &str) -> Words {
    let code = match status {
        StatusCode::PAYLOAD_TOO_LARGE if code == "invalid_request" => "body_too_large",
        StatusCode::REQUEST_TIMEOUT => "too_slow",
        _ => code,
    };
    WORDS.iter().find(|(known, _)| *known == code).map_or(OTHERWISE, |(_, words)| *words)
}

/// By code, in the order of the alphabet.
const WORDS: &[(&str, Words)] = &[
    (
        "access_denied",
        Words {
            title: "You cannot approve for this company",
            what: "Your role there does not allow it, or was changed while the page was open. Nothing was connected.",
            next: "Ask an owner or an administrator of the company to approve, or to change your role. Then press Connect in your store or application again.",
            link: None,
        },
    ),
    (
        "already_decided",
        Words {
            title: "This was already decided",
            what: "This request was approved or denied before, or its page was open for too long. Nothing more was changed.",
            next: "Look in your store or application whether it is connected. If it is not, press Connect there again.",
            link: None,
        },
    ),
    (
        "application_changed",
        Words {
            title: "Somebody else was faster",
            what: "The application was changed since you opened the page. Nothing of yours was saved.",
            next: "Go back to the application, look at what it is now, and try again.",
            link: None,
        },
    ),
    (
        "body_too_large",
        Words {
            title: "This is more than we take",
            what: "The form that you sent is too long. Nothing was changed, and what you typed was not saved.",
            next: "Go back in your browser, and send a shorter one.",
            link: None,
        },
    ),
    (
        "connection_changed",
        Words {
            title: "This connection was changed meanwhile",
            what: "It ended, or was approved anew, since you opened the page. Nothing of yours was done.",
            next: "Open the connection again, and look at what it is now.",
            link: None,
        },
    ),
    (
        "form_refused",
        Words {
            title: "We could not accept this form",
            what: "It did not come from a page that we showed to this browser, or you signed in or out, or typed a code, after the page was shown. Nothing was changed.",
            next: "Go back in your browser, load that page anew, and fill it in once more. If you came from a store or an application, press Connect there again. Cookies must be allowed for this site.",
            link: None,
        },
    ),
    (
        "hand_over_expired",
        Words {
            title: "Please sign in once more",
            what: "The link that brought you here works once, for a minute, in one browser. Nothing was changed.",
            next: "Open the start page of this site. Cookies must be allowed for it.",
            link: Some(("/", "To the start page")),
        },
    ),
    (
        "invalid_client",
        Words {
            title: "We do not know this application",
            what: "The store or application that sent you here is not registered with us any more, or never was. Nothing was changed.",
            next: "Go back to it and press Connect again; it will register itself anew.",
            link: None,
        },
    ),
    (
        "invalid_request_uri",
        Words {
            title: "This link has expired",
            what: "A connection link works once, and only for a few minutes. Nothing was changed.",
            next: "Go back to your store or application and press Connect again.",
            link: None,
        },
    ),
    (
        "invitation_gone",
        Words {
            title: "This invitation does not stand any more",
            what: "It was used, was withdrawn, or is older than a week. Nothing was changed.",
            next: "If you accepted it before, sign in. Otherwise ask whoever invited you for another one.",
            link: Some(("/sign-in", "Sign in")),
        },
    ),
    (
        "link_expired",
        Words {
            title: "This link does not work any more",
            what: "A link to a new password works once, for an hour, and only the newest one we sent. Nothing was changed.",
            next: "Ask for a new one: on the sign-in page, follow \u{201c}Forgotten your password?\u{201d}.",
            link: Some(("/forgotten-password", "Ask for a new link")),
        },
    ),
    (
        "method_not_allowed",
        Words {
            title: "There is no page here",
            what: "This address takes a form, and cannot be opened by itself. Nothing was changed.",
            next: "Go back to the page with the form, or begin at the start page.",
            link: Some(("/", "To the start page")),
        },
    ),
    (
        "misdirected_request",
        Words {
            title: "This form belongs to another address of ours",
            what: "It was sent to a host that does not take it. Nothing was changed.",
            next: "Begin at the start page, and open the page with the form again.",
            link: Some(("/", "To the start page")),
        },
    ),
    (
        "no_company",
        Words {
            title: "You cannot approve for a company yet",
            what: "You are signed in, but in no company are you an owner or an administrator, so there is nothing that you could connect. Nothing was changed.",
            next: "Ask an administrator of your company to add you or to change your role, or sign out at the start page and come with another account. Then press Connect in your store or application again.",
            link: Some(("/", "To the start page")),
        },
    ),
    (
        "not_found",
        Words {
            title: "There is nothing here",
            what: "The page you asked for does not exist, or it belongs to a company that you do not act for.",
            next: "Go to your companies at the start page, or check the address.",
            link: Some(("/", "To the start page")),
        },
    ),
    (
        "passwords_off",
        Words {
            title: "There are no passwords here",
            what: "People sign in here through another provider, where their accounts are. Nothing was changed.",
            next: "Go to the sign-in page, and continue with the provider that it names.",
            link: None,
        },
    ),
    (
        "role_not_allowed",
        Words {
            title: "Your role does not allow this",
            what: "What you can do for a company depends on the role that its owner or an administrator gave you. Nothing was changed.",
            next: "Ask an owner or an administrator of the company to do it, or to change your role.",
            link: Some(("/", "To the start page")),
        },
    ),
    (
        "second_factor_needed",
        Words {
            title: "Turn one-time codes on first",
            what: "This company lets only people approve who have one-time codes, and you have none yet. Nothing was changed.",
            next: "Turn them on in your account (the start page, your e-mail address), then press Connect in your store or application again.",
            link: Some(("/account/codes", "Turn one-time codes on")),
        },
    ),
    (
        "session_ended",
        Words {
            title: "You are not signed in any more",
            what: "Your session ended before this form arrived: it lasts some hours, and ends when you sign out in another window. Nothing was changed, and what you typed was not saved.",
            next: "Sign in. You come back to the page with the form; fill it in once more there.",
            link: Some(("/", "Sign in")),
        },
    ),
    (
        "store_not_verified",
        Words {
            title: "This store is not verified",
            what: "Only a store that answers at its own address can be connected here. Nothing was connected.",
            next: "Do what the details below say, then press Connect in the store again.",
            link: None,
        },
    ),
    (
        "temporarily_unavailable",
        Words {
            title: "Please try again in a moment",
            what: "We could not do this now. Nothing was changed.",
            next: "Wait a few seconds and reload this page.",
            link: None,
        },
    ),
    (
        "too_many_requests",
        Words {
            title: "Too much at once",
            what: "More came from here within a minute than we take. Nothing was changed.",
            next: "Wait a minute, then try again.",
            link: None,
        },
    ),
    (
        "too_slow",
        Words {
            title: "This took too long",
            what: "Your browser did not send the whole form in time. Nothing was changed.",
            next: "Go back in your browser, and send it again where the connection is better.",
            link: None,
        },
    ),
    (
        "upload_too_large",
        Words {
            title: "This file is too large",
            what: "A picture may have at most 1 MB. Nothing was changed.",
            next: "Go back, and choose a smaller picture: 256 pixels a side are enough.",
            link: None,
        },
    ),
];

/// For whatever has no words of its own: most of these come of a link that is wrong.
const OTHERWISE: Words = Words {
    title: "We cannot continue with this request",
    what: "Something in the link that brought you here is not right, so we stopped. Nothing was changed.",
    next: "Go back to your store or application and press Connect again. If it happens again, send its support the details below.",
    link: None,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_words_once_and_all_say_what_became_of_it() {
        assert!(WORDS.is_sorted_by(|(one, _), (next, _)| one < next), "in order, each once");
        for (code, words) in WORDS {
            for text in [words.title, words.what, words.next] {
                assert!(!text.is_empty(), "{code}");
            }
            assert!(words.what.ends_with('.') && words.next.ends_with('.'), "{code}");
        }
        let title = |status: u16, code: &str| {
            of(StatusCode::from_u16(status).expect("a status"), code).title
        };
        assert_eq!(title(400, "unheard_of"), OTHERWISE.title);
        assert_eq!(title(400, "invalid_request"), OTHERWISE.title);
        for (status, code, known) in [
            (403, "session_ended", "session_ended"),
            (413, "invalid_request", "body_too_large"),
            (413, "upload_too_large", "upload_too_large"),
            (408, "invalid_request", "too_slow"),
        ] {
            let words = WORDS.iter().find(|(code, _)| *code == known).expect("known");
            assert_eq!(title(status, code), words.1.title);
        }
    }
}

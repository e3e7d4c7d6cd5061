//! Who may ask, and what a browser is told with every answer.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode, Uri,
        header::{self, HeaderName},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::secret::{Secret, is_same};

/// Nothing is loaded but from this server, nothing runs but the program's own scripts, and no other page
/// shows this one within itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What is said to who has neither the token nor the cookie.
const UNKNOWN: &str =
    "open the address that the program printed: it holds the token that lets you in";

/// What requests are held to.
pub(crate) struct Guard {
    pub(crate) secret: Secret,
    /// Where it listens.
    pub(crate) port: u16,
    /// Whether an address of another machine's reach is listened on.
    pub(crate) beyond_loopback: bool,
}

impl Guard {
    /// The cookie, `NAME=VALUE`: those of one host are shared by all its ports.
    fn cookie(&self) -> String {
        let port = self.port;
        format!("neuroinspect-studio-{port}={}", self.secret.cookie(port))
    }

    /// Whether a `Host` is an address in figures, of this machine unless others are let in, or `localhost`. A name that
    /// leads here may be anybody's.
    fn is_ours(&self, host: &str) -> bool {
        // Browsers leave out the port that HTTP has by itself; within brackets colons are the address's.
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !host.ends_with(']') => (name, port),
            _ => (host, "80"),
        };
        if port != self.port.to_string() {
            return false;
        }
        let address = match name.strip_prefix('[') {
            Some(name) => name.strip_suffix(']').unwrap_or(""),
            None => name,
        };
        name == "localhost"
            || (address.parse::<IpAddr>())
                .is_ok_and(|address| self.beyond_loopback || address.is_loopback())
    }

    /// Why a request is refused, if it is, whoever sends it.
    fn refuses(&self, method: &Method, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
        let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or(""));
        let Some(host) = text(header::HOST).filter(|host| self.is_ours(host)) else {
            let reason = "open this server by the port that it printed, at localhost or an address in figures: of this \
                          machine, unless it was started with --listen";
            return Some((StatusCode::MISDIRECTED_REQUEST, reason));
        };
        let safe = [Method::GET, Method::HEAD].contains(method);
        let same = |origin: &str| origin.strip_prefix("http://") == Some(host);
        match text(header::ORIGIN) {
            Some(origin) if same(origin) => {}
            None if safe => {}
            _ => return Some((StatusCode::FORBIDDEN, "another page may not ask for this")),
        }
        // An image or a script of ours in another page.
        let site = text(HeaderName::from_static("sec-fetch-site"));
        let mode = text(HeaderName::from_static("sec-fetch-mode"));
        let from_elsewhere = matches!(site, Some("cross-site" | "same-site"));
        if from_elsewhere && (mode != Some("navigate") || !safe) {
            return Some((StatusCode::FORBIDDEN, "another page may not ask for this"));
        }
        None
    }

    fn is_known(&self, headers: &HeaderMap) -> bool {
        let ours = self.cookie();
        let cookies = headers.get_all(header::COOKIE).into_iter();
        let cookies = cookies.filter_map(|value| value.to_str().ok());
        cookies
            .flat_map(|all| all.split(';'))
            .any(|one| is_same(&ours, one.trim()))
    }

    /// The address without its token, where it has the token.
    fn without_token(&self, uri: &Uri) -> Option<String> {
        let parts = || uri.query().unwrap_or("").split('&');
        parts()
            .filter_map(|part| part.strip_prefix("token="))
            .find(|token| is_same(&self.secret.token, token))?;
        let others: Vec<_> = parts().filter(|it| !it.starts_with("token=")).collect();
        // Two slashes in front would lead to another host; browsers take a backslash for one.
        let path = format!("/{}", uri.path().trim_start_matches(['/', '\\']));
        Some(match others.is_empty() {
            true => path,
            false => format!("{path}?{}", others.join("&")),
        })
    }
}

/// Lets through who has the token, in the first address or as a cookie.
pub(crate) async fn guard(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match guard.refuses(request.method(), request.headers()) {
        Some(refused) => refused.into_response(),
        None => match guard.without_token(request.uri()) {
            // Also who is known already: the address is to be one that can be sent.
            Some(address) => enter(&guard, address),
            None if guard.is_known(request.headers()) => next.run(request).await,
            None => (StatusCode::UNAUTHORIZED, UNKNOWN).into_response(),
        },
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // What a page shows is of now; what never changes says so itself.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Exchanges the token of an address for a cookie.
fn enter(guard: &Guard, address: String) -> Response {
    // No page of another site comes with it. Those of other ports of this host do, and are refused; that their servers
    // are sent it cannot be helped.
    let cookie = format!("{}; Path=/; HttpOnly; SameSite=Strict", guard.cookie());
    let headers = [(header::SET_COOKIE, cookie), (header::LOCATION, address)];
    (StatusCode::SEE_OTHER, headers).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(beyond_loopback: bool) -> Guard {
        Guard {
            secret: Secret {
                token: "a".repeat(64),
                port: None,
            },
            port: 4711,
            beyond_loopback,
        }
    }

    #[test]
    fn hosts_are_addresses_of_this_machine_and_this_port() {
        let ours = |host| guard(false).is_ours(host);
        for host in [
            "127.0.0.1:4711",
            "localhost:4711",
            "[::1]:4711",
            "127.0.0.2:4711",
        ] {
            assert!(ours(host), "{host}");
        }
        for host in [
            "127.0.0.1",
            "127.0.0.1:80",
            "localhost.evil.example:4711",
            "evil.example:4711",
            "127.0.0.1.evil.example:4711",
            "[::1:4711",
            "192.168.0.2:4711",
            "",
        ] {
            assert!(!ours(host), "{host}");
        }
        let usual = Guard {
            port: 80,
            ..guard(false)
        };
        for host in ["127.0.0.1", "[::1]", "localhost:80"] {
            assert!(usual.is_ours(host), "{host}");
        }
        assert!(guard(true).is_ours("192.168.0.2:4711"));
        assert!(!guard(true).is_ours("evil.example:4711"));
    }

    #[test]
    fn the_token_leaves_the_address_and_leads_to_no_other_host() {
        let guard = guard(false);
        let token = &guard.secret.token;
        let address = |uri: String| guard.without_token(&uri.parse().unwrap());
        assert_eq!(address(format!("/?token={token}")).as_deref(), Some("/"));
        assert_eq!(
            address(format!("/class/3?view=all&token={token}")).as_deref(),
            Some("/class/3?view=all")
        );
        for path in ["//evil.example/", r"/\evil.example/", r"/\/evil.example/"] {
            assert_eq!(
                address(format!("{path}?token={token}")).as_deref(),
                Some("/evil.example/"),
                "{path}"
            );
        }
        assert_eq!(address("/?token=b".to_owned()), None);
        assert_eq!(address("/".to_owned()), None);
    }
}

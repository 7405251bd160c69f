//! Access to servers: credentials and certificate authorities, from files.

use crate::config::{ConfigError, Problem, Problems};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// Longest file of a secret, and of certificates, in bytes.
const SECRET_MAX: u64 = 64 << 10;
const CERTIFICATES_MAX: u64 = 4 << 20;

/// Access of a [source](super) to its servers. Default: no credentials, and the public certificate authorities.
///
/// Secrets come from files, which are read at each look: one that is replaced counts from the next look on. They are sent
/// to every address of the source, never to a redirect, and no error, log line or `Debug` shows them.
///
/// # Examples
///
/// ```no_run
/// use backstop::rollout::source::{Access, Credentials, Prometheus};
///
/// let access = Access::new(Some(Credentials::BearerFile("/etc/backstop/prometheus.token".into())), Some("/etc/backstop/ca.pem".as_ref()))?;
/// let source = Prometheus::new("https://prometheus:9090", "checkout", r#"version="1.2.4""#)?.access(access);
/// # drop(source);
/// # Ok::<(), backstop::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Access {
    credentials: Option<Credentials>,
    /// Empty: the public ones.
    authorities: Vec<Certificate<'static>>,
}

/// Credentials of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// `Authorization: Bearer`: a file with the token.
    BearerFile(PathBuf),
    /// `Authorization: Basic`: a file with `user:password`.
    BasicFile(PathBuf),
}

impl Access {
    /// Access with these credentials. Servers must show a certificate of an authority in the PEM file, or without one of a
    /// public authority.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, is too long (64 KiB; certificates 4 MiB), or has something else in it.
    pub fn new(credentials: Option<Credentials>, ca_file: Option<&Path>) -> Result<Self, ConfigError> {
        let mut problems = Problems::default();
        let mut note = |field: &'static str, message: String| {
            problems.extend(ConfigError::of(Problem::new(field, message, "")));
        };
        let mut access = Self { credentials, authorities: Vec::new() };
        if let Err(message) = access.authorization() {
            note("credentials", message);
        }
        if let Some(path) = ca_file {
            match authorities(path) {
                Ok(authorities) => access.authorities = authorities,
                Err(message) => note("ca_file", message),
            }
        }
        problems.into_result(access)
    }

    /// The header as its file says now.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or has no credentials in it.
    pub(crate) fn authorization(&self) -> Result<Option<HeaderValue>, String> {
        let (path, text) = match &self.credentials {
            None => return Ok(None),
            Some(Credentials::BearerFile(path)) => {
                let token = secret(path)?;
                let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
                (path, is_token.then(|| format!("Bearer {token}")).ok_or("a token of visible ASCII characters"))
            }
            Some(Credentials::BasicFile(path)) => {
                let pair = secret(path)?;
                let is_pair = pair.contains(':') && !pair.chars().any(char::is_control);
                (path, is_pair.then(|| format!("Basic {}", STANDARD.encode(&pair))).ok_or("a line user:password"))
            }
        };
        let value = text.and_then(|text| HeaderValue::try_from(text).map_err(|_| "a header's value"));
        let mut value = value.map_err(|allowed| format!("{} must hold {allowed}", path.display()))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    pub(crate) fn tls(&self) -> TlsConfig {
        let roots = match &*self.authorities {
            [] => RootCerts::WebPki,
            authorities => RootCerts::new_with_certs(authorities),
        };
        TlsConfig::builder().root_certs(roots).build()
    }
}

/// The text of a file without the line break at its end.
fn secret(path: &Path) -> Result<String, String> {
    let text = String::from_utf8(read(path, SECRET_MAX)?).map_err(|_| format!("{} is not UTF-8", path.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn authorities(path: &Path) -> Result<Vec<Certificate<'static>>, String> {
    let bytes = read(path, CERTIFICATES_MAX)?;
    let certificate = |item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    };
    match parse_pem(&bytes).filter_map(certificate).collect::<Result<Vec<_>, _>>() {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(format!("{} must hold certificates in PEM", path.display())),
    }
}

/// The bytes of a file that may be a pipe, or grow.
fn read(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
    let read = read.map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    if read as u64 > most {
        return Err(format!("{} is longer than {most} bytes", path.display()));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_credentials_is_an_error_that_hides_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let (bearer, basic) = (Credentials::BearerFile(path.clone()), Credentials::BasicFile(path.clone()));
        let access = |credentials: &Credentials| Access::new(Some(credentials.clone()), None);
        let header = |credentials: &Credentials| access(credentials).unwrap().authorization().unwrap().unwrap();
        for (text, credentials, says) in [
            ("", &bearer, "must hold a token"),
            ("hidden hidden", &bearer, "must hold a token"),
            ("hidden\nhidden\n", &bearer, "must hold a token"),
            ("hidden", &basic, "must hold a line user:password"),
            ("hidden:a\nhidden:b", &basic, "must hold a line user:password"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = access(credentials).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains("secret") && !error.contains("hidden"), "{error}");
        }
        std::fs::write(&path, "token\n").unwrap();
        assert_eq!(header(&bearer), "Bearer token");
        std::fs::write(&path, "anna:a:b \n").unwrap();
        let value = header(&basic);
        assert_eq!(value, "Basic YW5uYTphOmIg");
        assert!(!format!("{value:?}").contains("YW5u"), "{value:?}");
    }

    #[test]
    fn files_that_are_missing_or_none_of_certificates_are_all_reported() {
        let folder = tempfile::tempdir().unwrap();
        let (missing, other) = (folder.path().join("none"), folder.path().join("other"));
        std::fs::write(&other, "no certificate").unwrap();
        let error = Access::new(Some(Credentials::BearerFile(missing)), Some(&other)).unwrap_err().to_string();
        assert!(error.contains("none cannot be read") && error.contains("must hold certificates in PEM"), "{error}");
        std::fs::write(&other, vec![b'a'; 65 << 10]).unwrap();
        let error = Access::new(Some(Credentials::BasicFile(other)), None).unwrap_err().to_string();
        assert!(error.contains("is longer than 65536 bytes"), "{error}");
    }
}

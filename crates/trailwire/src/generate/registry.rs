//! The organisations and apps that events are about.

use std::io::{self, Write};

use super::mix::{Dice, Subject};

/// Installations of one organisation, at most.
const APPS_PER_ORG: u32 = 8;

/// An organisation with its one site.
#[derive(Debug)]
pub(super) struct Org {
    pub(super) id: String,
    pub(super) site_id: String,
    pub(super) site: String,
}

/// An app.
#[derive(Debug)]
pub(super) struct App {
    pub(super) id: String,
    pub(super) key: String,
    pub(super) kind: &'static str,
    pub(super) version: String,
    pub(super) name: String,
    pub(super) vendor: String,
    pub(super) domain: String,
    /// `product/version`.
    pub(super) user_agent: String,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Registry {
    seed: u64,
    pub(super) orgs: Vec<Org>,
    pub(super) apps: Vec<App>,
}

const FIRST_WORDS: [&str; 8] = ["Tide", "Hour", "Ink", "Gate", "Hook", "Lamp", "Quill", "Ferry"];
const LAST_WORDS: [&str; 8] = ["mirror", "sheets", "well", "house", "line", "fish", "press", "boards"];
const DATA_HANDLING: [&str; 4] = [
    "Copies issue fields into the customer's own warehouse; keeps nothing after the copy.",
    "Processes the data it reads to provide the app and deletes caches within 24 hours.",
    "Reads permissions only; stores counts and group ids for 30 days.",
    "Writes imported issues; keeps the source rows for 7 days for repeat runs.",
];

impl Registry {
    pub(super) fn new(seed: u64, orgs: u32, apps: u32) -> Self {
        let orgs = (0..orgs.max(1)).map(|number| org(seed, number)).collect();
        let apps = (0..apps.max(1)).map(|number| app(seed, number)).collect();
        Self { seed, orgs, apps }
    }

    /// How many apps each organisation has installed.
    pub(super) fn installations_per_org(&self) -> u32 {
        APPS_PER_ORG.min(u32::try_from(self.apps.len()).unwrap_or(APPS_PER_ORG))
    }

    /// The app that organisation `org` has installed as its `slot`-th: consecutive apps from one of its own on, so that
    /// every app is installed somewhere as soon as there are organisations enough.
    pub(super) fn installed(&self, org: usize, slot: u32) -> usize {
        let apps = self.apps.len().max(1);
        (org.wrapping_mul(APPS_PER_ORG as usize) + slot as usize) % apps
    }

    /// The id of the installation of `app` at `org`.
    pub(super) fn installation_id(&self, org: usize, app: usize) -> [u8; 36] {
        Dice::new(self.seed, Subject::Installation, ((org as u64) << 32) | app as u64).uuid()
    }

    /// Writes the registry of the apps as YAML.
    pub(super) fn write_yaml(&self, out: &mut impl Write) -> io::Result<()> {
        // Written by hand: every value is of letters, digits and punctuation that YAML takes plain or double-quoted.
        writeln!(out, "version: 1\napps:")?;
        let mut homes: Vec<Vec<usize>> = vec![Vec::new(); self.apps.len()];
        for org in 0..self.orgs.len() {
            for slot in 0..self.installations_per_org() {
                if let Some(home) = homes.get_mut(self.installed(org, slot)) {
                    home.push(org);
                }
            }
        }
        for (number, (app, homes)) in self.apps.iter().zip(&homes).enumerate() {
            let App { id, key, kind, version, name, vendor, domain, .. } = app;
            let mut dice = Dice::new(self.seed, Subject::App, number as u64 + (1 << 32));
            let data_handling = dice.pick(&DATA_HANDLING);
            writeln!(
                out,
                "- key: {key}\n  id: {id}\n  kind: {kind}\n  name: \"{name}\"\n  version: \"{version}\""
            )?;
            writeln!(
                out,
                "  vendor:\n    name: \"{vendor}\"\n    support_url: https://support.{domain}/tickets"
            )?;
            writeln!(
                out,
                "    documentation_url: https://docs.{domain}/\n    privacy_url: https://{domain}/privacy"
            )?;
            writeln!(
                out,
                "  data_handling: \"{data_handling}\"\n  scopes:\n  - READ\n  - WRITE\n  status: installed"
            )?;
            if homes.is_empty() {
                writeln!(out, "  installations: []")?;
                continue;
            }
            writeln!(out, "  installations:")?;
            for home in homes {
                let Some(Org { id, site_id, site }) = self.orgs.get(*home) else { continue };
                let installation = self.installation_id(*home, number);
                writeln!(
                    out,
                    "  - org_id: {id}\n    site_id: {site_id}\n    site: {site}\n    environment: production"
                )?;
                writeln!(out, "    installation_id: {}", String::from_utf8_lossy(&installation))?;
            }
        }
        Ok(())
    }
}

fn org(seed: u64, number: u32) -> Org {
    let mut dice = Dice::new(seed, Subject::Org, u64::from(number));
    let mut uuid = || String::from_utf8_lossy(&dice.uuid()).into_owned();
    Org { id: uuid(), site_id: uuid(), site: format!("c{number:05}.example.net") }
}

fn app(seed: u64, number: u32) -> App {
    let mut dice = Dice::new(seed, Subject::App, u64::from(number));
    let (first, last) = (dice.pick(&FIRST_WORDS), dice.pick(&LAST_WORDS));
    let kind = dice.pick(&["connect", "forge", "oauth"]);
    let version = format!("{}.{}.{}", 1 + dice.below(9), dice.below(10), dice.below(10));
    let (name, vendor) = (format!("{first}{last} {number:04}"), format!("{first}{last} Works {number:04}"));
    let word = format!("{first}{last}").to_ascii_lowercase();
    let domain = format!("{word}-{number:04}.example.com");
    let key = format!("com.example.{word}-{number:04}");
    let user_agent = format!("{first}{last}/{version}");
    App { id: key.clone(), key, kind, version, name, vendor, domain, user_agent }
}

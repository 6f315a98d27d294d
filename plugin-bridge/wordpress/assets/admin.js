// Copies a payment's address. Where no script runs, the field is there to be copied from by hand.
((document, { a11y, i18n: { __ } }) => {
  const copy = async (field) => {
    field.focus();
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      // Browsers have the clipboard above for pages of https alone.
      document.execCommand('copy');
    }
  };
  for (const button of document.querySelectorAll('.counterfoil-copy')) {
    const field = document.getElementById(button.getAttribute('aria-controls'));
    button.hidden = false;
    button.addEventListener('click', async () => {
      await copy(field);
      button.firstChild.textContent = __('Copied', 'counterfoil');
      a11y.speak(__('The address is copied.', 'counterfoil'));
    });
  }
})(document, window.wp);
